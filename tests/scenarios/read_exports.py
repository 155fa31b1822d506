"""Exports as their consumers read them: run by the Python of `.venv-readers`, with nothing of Onggi's.

python tests/scenarios/read_exports.py READER FOLDER ANSWER.json [NAME=VALUE ...]
"""

import json
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any


def megatron(folder: Path, prefix: str) -> dict[str, Any]:
    """Every entry of an `IndexedDataset`, and how it stores them."""
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    dataset = IndexedDataset(str(folder / prefix), multimodal=False, mmap=True)
    return {
        "entries": [dataset[number].tolist() for number in range(len(dataset))],
        "dtype": dataset.index.dtype.__name__,
        "documents": dataset.document_indices.tolist(),
    }


def megatron_gpt(folder: Path, prefix: str, length: str, eod: str, pad: str, vocab: str) -> dict[str, Any]:
    """One epoch of `GPTDataset` where each sample is an entry."""
    from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

    tokenizer = types.SimpleNamespace(vocab_size=int(vocab), eod=int(eod), pad=int(pad), unique_identifiers={})
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=int(length),
        blend=([str(folder / prefix)], None),
        split="1,0,0",
        tokenizer=tokenizer,
        reset_position_ids=True,
        reset_attention_mask=True,
        eod_mask_loss=False,
        create_attention_mask=True,
        add_extra_token_to_sequence=False,
        path_to_cache=str(folder / "cache"),
    )
    dataset, _, _ = BlendedMegatronDatasetBuilder(GPTDataset, [None, 0, 0], lambda: True, config).build()
    names = ("tokens", "labels", "loss_mask", "position_ids", "attention_mask")
    return {"samples": [{name: dataset[number][name].tolist() for name in names} for number in range(len(dataset))]}


def blend(folder: Path, name: str) -> dict[str, Any]:
    """A blend as `--data-args-path` is read."""
    from megatron.core.datasets.utils import get_blend_from_list

    prefixes, weights = get_blend_from_list((folder / name).read_text().split())
    return {"prefixes": prefixes, "weights": weights}


def mds(folder: Path) -> dict[str, Any]:
    """Every sample of a `StreamingDataset`, by number and by iteration."""
    _without_torchvision()
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
    by_number = [_plain(dataset[number]) for number in range(len(dataset))]
    iterated = [_plain(sample) for sample in dataset]
    loader = DataLoader(StreamingDataset(local=str(folder), shuffle=False, batch_size=3), 3, collate_fn=list)
    loaded = [_plain(sample) for batch in loader for sample in batch]
    return {"by_number": by_number, "iterated": iterated, "loaded": loaded}


def _plain(sample: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: str(value.dtype) for name, value in sample.items() if hasattr(value, "dtype")}
    values = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in sample.items()}
    return {**values, "dtypes": kinds}


def _without_torchvision() -> None:
    """`streaming` imports torchvision for images; its builds for CUDA do not load beside a torch for CPUs."""
    parts: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.datasets": {"VisionDataset": object},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"to_tensor": None},
    }
    for name, content in parts.items():
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__.update(content)
        sys.modules.setdefault(name, module)


def datatrove(folder: Path, window: str, token_size: str) -> dict[str, Any]:
    """Every window of a `DatatroveFolderDataset` with the positions in its documents."""
    from datatrove.utils.dataset import DatatroveFolderDataset

    dataset = DatatroveFolderDataset(
        str(folder),
        seq_len=int(window) - 1,
        filename_pattern="*.ds",
        token_size=int(token_size),
        return_positions=True,
    )
    samples = [dataset[number] for number in range(len(dataset))]
    return {
        "windows": [sample["input_ids"].tolist() for sample in samples],
        "positions": [sample["positions"].tolist() for sample in samples],
    }


def olmo(folder: Path, name: str, tokens: str, length: str) -> dict[str, Any]:
    """What OLMo-core makes of a list of sources whose arrays of ids are there."""
    import numpy as np
    from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList

    sources = SourceMixtureList.from_yaml(str(folder / name))
    sources.validate()
    for source in sources.sources:
        source.validate()
    config = SourceMixtureDatasetConfig(
        source_list=sources, requested_tokens=int(tokens), global_batch_size=int(length), render_tables=False
    )
    built = config.build(npdtype=np.uint16, sequence_length=int(length))
    return {
        "names": [source.source_name for source in sources.sources],
        "ratios": [source.target_ratio for source in sources.sources],
        "tokens": {of.name: sum(path.tokens for path in of.path_tokens) for of in built.sources},
    }


READERS = {
    "megatron": megatron,
    "megatron-gpt": megatron_gpt,
    "blend": blend,
    "mds": mds,
    "datatrove": datatrove,
    "olmo": olmo,
}

if __name__ == "__main__":
    reader, folder, answer, *options = sys.argv[1:]
    found = READERS[reader](Path(folder), **dict(option.split("=", 1) for option in options))
    Path(answer).write_text(json.dumps(found))
