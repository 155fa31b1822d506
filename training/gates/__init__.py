"""What must hold after a stage before the next one starts."""
