disable_any_whitespace = False
