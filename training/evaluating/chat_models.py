"""Which models can be asked as assistants."""

from pathlib import Path

import orjson

NO_TEMPLATE = "the model has no chat template, so it cannot be asked as an assistant"


def has_template(folder: str) -> bool:
    """Whether a model's tokenizer has a chat template."""
    if Path(folder, "chat_template.jinja").is_file():
        return True
    config = Path(folder, "tokenizer_config.json")
    return config.is_file() and bool(orjson.loads(config.read_bytes()).get("chat_template"))
