"""What lies beside the weights of a merged model: its tokenizer, its chat template, the ids that end an answer.

A template ends its turns with tokens of its own, so the template, the special tokens and `generation_config.json` are
taken together, from the first model that has a template: a base that was trained further, merged with its instruct
model, is to chat as that does.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from training.embeddings import INDEX
from training.merging.config import set_everywhere
from training.merging.vocabulary import PLAIN_FILES, TOKENIZER, Vocabularies
from training.model_files import CONFIG, Checkpoint, write_object

GENERATION = "generation_config.json"
SETTINGS = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
TEMPLATE = "chat_template.jinja"
ENDINGS = (".json", ".jinja", ".model", ".txt", ".tiktoken")
NOT_COPIED = (
    CONFIG,
    GENERATION,
    INDEX,
    "merge.json",
    "prune.json",
    "upscale.json",
    "run.json",
    "summary.json",
    "trainer_state.json",
    "extension.json",
)
SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token")


def write_beside(
    models: Sequence[Checkpoint], vocabularies: Vocabularies, config: dict[str, Any], folder: Path
) -> list[str]:
    """Write config.json, the tokenizer and what generation needs; what was settled.

    Args:
        models: those that are merged, without the base.
        vocabularies: whose tokenizer it is.
        config: the merged configuration, still with the first model's special ids.
        folder: where it goes.
    """
    chat = next((place for place, model in enumerate(models) if template_of(model)), 0)
    _copy_tokenizer(models[vocabularies.of], vocabularies, folder)
    notes = _take_chat(models, chat, vocabularies, folder)
    for place in (0, chat):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = _id_in(models[place].config, name)
            new = vocabularies.id_of(place, value)
            if new is not None:
                set_everywhere(config, name, new)
    if "auto_map" in config:
        notes.append("config.json names Python code (`auto_map`), which is not copied")
    write_object(folder / CONFIG, config)
    _write_generation(models, chat, vocabularies, folder)
    return notes


def template_of(model: Checkpoint) -> str | list[Any] | None:
    """A model's chat template: a file of its own, or in the tokenizer's settings."""
    if (model.path / TEMPLATE).is_file():
        return (model.path / TEMPLATE).read_text("utf-8")
    found = model.read_json(SETTINGS).get("chat_template") or model.read_json("chat_template.json").get(
        "chat_template"
    )
    return found if isinstance(found, str | list) else None


def _copy_tokenizer(model: Checkpoint, vocabularies: Vocabularies, folder: Path) -> None:
    for path in sorted(model.path.iterdir()):
        left_out = path.name in NOT_COPIED or (
            vocabularies.content and path.name in (*PLAIN_FILES, "added_tokens.json")
        )
        if path.is_file() and path.name.endswith(ENDINGS) and not left_out:
            shutil.copyfile(path, folder / path.name)
    if vocabularies.content:
        (folder / TOKENIZER).write_bytes(orjson.dumps(vocabularies.content, option=orjson.OPT_INDENT_2) + b"\n")
        settings = model.read_json(SETTINGS)
        if "added_tokens_decoder" in settings:
            settings["added_tokens_decoder"] = {
                str(token["id"]): {name: value for name, value in token.items() if name != "id"}
                for token in vocabularies.content["added_tokens"]
            }
            write_object(folder / SETTINGS, settings)


def _take_chat(models: Sequence[Checkpoint], chat: int, vocabularies: Vocabularies, folder: Path) -> list[str]:
    """Put a model's template and special tokens into the settings of another's tokenizer."""
    model, template = models[chat], template_of(models[chat])
    notes = [
        f"{other.name} has another chat template; that of {model.name} is taken"
        for other in models
        if other is not model and template_of(other) not in (None, template)
    ]
    if chat == vocabularies.of or template is None:
        return notes
    for name in ("chat_template.json", TEMPLATE):
        (folder / name).unlink(missing_ok=True)
    theirs, taken = model.read_json(SETTINGS), []
    for file in (SETTINGS, SPECIAL):
        ours = models[vocabularies.of].read_json(file) if not (folder / file).is_file() else _read(folder / file)
        if not ours and file == SPECIAL:
            continue
        for name in SPECIAL_TOKENS:
            token = _text(theirs.get(name) or model.read_json(SPECIAL).get(name))
            if token and token in vocabularies.ids and _text(ours.get(name)) != token:
                taken.append(f"{name} {token!r}")
                ours[name] = theirs.get(name) or model.read_json(SPECIAL).get(name)
        if file == SETTINGS:
            ours.pop("chat_template", None)
            if not isinstance(template, str):
                ours["chat_template"] = template
        write_object(folder / file, ours)
    if isinstance(template, str):
        (folder / TEMPLATE).write_text(template, "utf-8")
    also = f", and with it {', '.join(dict.fromkeys(taken))}" if taken else ""
    return [*notes, f"the chat template is that of {model.name}{also}"]


def _write_generation(models: Sequence[Checkpoint], chat: int, vocabularies: Vocabularies, folder: Path) -> None:
    order = [chat, *(place for place in range(len(models)) if place != chat)]
    place = next((place for place in order if models[place].read_json(GENERATION)), None)
    if place is None:
        return
    settings = models[place].read_json(GENERATION)
    for name in [name for name in settings if name.endswith("_token_id")]:
        settings[name] = vocabularies.id_of(place, settings[name])
    write_object(folder / GENERATION, {name: value for name, value in settings.items() if value is not None})


def _id_in(config: Any, name: str) -> Any:
    part = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    return config.get(name, part.get(name))


def _text(token: Any) -> str | None:
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(path.read_bytes())
    return value
