"""Models of new weights: the stage `init`, and the base of a training from scratch.

base: {tokenizer: tok, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 2, num_attention_heads: 4}
"""

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import xxhash

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_surgery import Init, NewModel
from training.inputs import Digests, joined
from training.jobs import Job, Made
from training.merging.vocabulary import read_vocabulary
from training.model_files import CONFIG, Checkpoint, read_object, write_object
from training.pruning.families import settle_width

CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json",
    "vocab.json", "merges.txt", "tokenizer.model",
)  # fmt: skip
"""What is copied beside a configuration; weights are not."""
PLAN = "plan"
"""Folder of a base that is to be made: its configuration and its tokenizer."""


def new_config(new: NewModel, folder: Path) -> dict[str, Any]:
    """The `config.json` of a model that does not exist yet.

    Args:
        new: how it is built.
        folder: of its tokenizer.

    Raises:
        RequestError: there is no tokenizer, or sizes do not go together.
    """
    special = _special_ids(folder)
    groups = new.num_key_value_heads or new.num_attention_heads
    config: dict[str, Any] = {
        "architectures": [CLASSES[new.model_type]],
        "model_type": new.model_type,
        "vocab_size": vocabulary_size(folder),
        **{name: value for name, value in new.given().items() if name in _SIZES},
        "num_key_value_heads": groups,
        "max_position_embeddings": new.max_position_embeddings,
        "rope_parameters": {"rope_theta": new.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": new.tie_word_embeddings,
        "initializer_range": new.initializer_range,
        **{f"{name}_token_id": special.get(name) for name in ("bos", "eos", "pad")},
        "dtype": "float32",
    }
    config.setdefault("head_dim", new.hidden_size // new.num_attention_heads)
    _settle(config, "base")
    return config


_SIZES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
)  # fmt: skip


def _settle(config: dict[str, Any], at: str) -> None:
    """Check sizes, and call the architecture what transformers opens with them.

    Raises:
        RequestError: they do not go together.
    """
    check_sizes(config, at)
    try:
        settle_width(config)
    except RequestError as error:
        raise RequestError(f"{at}: {error}") from None


def check_sizes(config: Mapping[str, Any], at: str) -> None:
    """That heads can be shared out.

    Raises:
        RequestError: they cannot; says what would do.
    """
    heads, groups = int(config["num_attention_heads"]), int(config.get("num_key_value_heads") or 0)
    if groups and heads % groups:
        raise RequestError(
            f"{at}: {heads} heads of queries cannot share {groups} of keys and values evenly; expected a multiple"
        )
    width = config.get("head_dim") or int(config["hidden_size"]) // heads
    if not config.get("head_dim") and int(config["hidden_size"]) % heads:
        raise RequestError(f"{at}: {config['hidden_size']} wide is no multiple of {heads} heads; name `head_dim`")
    if int(width) % 2:
        raise RequestError(f"{at}: heads are {width} wide; RoPE turns pairs, so expected an even number")


def vocabulary_size(folder: Path) -> int:
    """Rows of embeddings that a tokenizer needs: its greatest id, and one.

    Raises:
        RequestError: there is no tokenizer.json.
    """
    return max(_ids(folder).values()) + 1


def _ids(folder: Path) -> Mapping[str, int]:
    """The id of each token.

    Raises:
        RequestError: there is no tokenizer.json, or none that can be read.
    """
    found = read_vocabulary(Checkpoint(str(folder), folder, {}, {}))
    if found is None or not found.ids:
        raise RequestError(f"{folder}: no tokenizer is there (tokenizer.json)")
    return found.ids


def _special_ids(folder: Path) -> dict[str, int]:
    """Ids of the special tokens that the tokenizer's configuration names."""
    ids, found = _ids(folder), {}
    path = folder / "tokenizer_config.json"
    named = read_object(path) if path.is_file() else {}
    for name in ("bos", "eos", "pad"):
        token = named.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token in ids:
            found[name] = ids[token]
    return found


def digest_of_new(new: NewModel, folder: Path, seed: int, digests: Digests) -> str:
    """What a new base depends on: how it is built, its tokenizer, the seed.

    Raises:
        RequestError: as of `new_config`.
    """
    config = orjson.dumps(new_config(new, folder), option=orjson.OPT_SORT_KEYS).decode()
    files = [f"{path.name}:{digests.of_file(str(path))}" for path in _tokenizer_files(folder)]
    return xxhash.xxh3_128_hexdigest(joined([config, *files, str(seed)]).encode())


def write_plan(new: NewModel, tokenizer: Path, folder: Path) -> Path:
    """Write what a new base is made of: a model's folder without weights.

    Args:
        new: how it is built.
        tokenizer: folder of its tokenizer.
        folder: in which the new one lies.
    """
    planned = folder / PLAN
    planned.mkdir(parents=True, exist_ok=True)
    for path in _tokenizer_files(tokenizer):
        shutil.copyfile(path, planned / path.name)
    write_object(planned / CONFIG, new_config(new, tokenizer))
    return planned


def _tokenizer_files(folder: Path) -> list[Path]:
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def run(job: Job, progress: Progress) -> Made:
    """The stage `init`: a model of new weights, drawn by the job's seed.

    Raises:
        RequestError: sizes do not go together, or transformers does not know the architecture.
    """
    stage = job.stage
    assert isinstance(stage, Init)
    source = Path(job.models["model"])
    config = with_sizes(read_object(source / CONFIG), stage.sizes.given())
    _settle(config.get("text_config", config), f"stage {stage.name}")
    progress("new weights", 0, 1)
    partial = job.path / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in _tokenizer_files(source):
        shutil.copyfile(path, partial / path.name)
    write_object(partial / CONFIG, config)
    n_weights = _draw(partial, job.seed)
    shutil.rmtree(job.model_path, ignore_errors=True)
    partial.rename(job.model_path)
    progress("new weights", 1, 1)
    return Made(counts={"parameters": n_weights})


def _draw(folder: Path, seed: int) -> int:
    """Weights for a folder with a configuration; how many."""
    import torch
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{folder / CONFIG}: no model can be built of it: {error}") from error
    model.to(torch.float32).save_pretrained(folder)
    n_weights: int = model.num_parameters()
    return n_weights


def with_sizes(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """A configuration with other sizes; what there is once per layer is made as long as there are layers."""
    changed = copy.deepcopy(dict(config))
    part = changed["text_config"] if isinstance(changed.get("text_config"), dict) else changed
    part.update(sizes)
    if "layer_types" in part and "num_hidden_layers" in sizes:
        kinds, n_layers = part["layer_types"], sizes["num_hidden_layers"]
        part["layer_types"] = [kinds[layer % len(kinds)] for layer in range(n_layers)]
    return changed
