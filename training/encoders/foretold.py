"""What is wrong with the data of an encoder's stage, told before earlier stages have trained for days; without torch.

Of each entry one row with a question and an answer is looked for, which most often is the first. Sets are read as a
whole up to a size, as they will be; of larger ones the texts are left to the stage.
"""

from pathlib import Path

from classifiers.rows import input_files
from manifests.errors import RequestError
from manifests.schema_embedding import Contrast, Mntp, Retrieval, Texts
from manifests.store import resolve
from training.chat.rows import Left, read_rows, source_of
from training.encoders.retrieval_sets import read_qrels, read_set

READ_BYTES = 1 << 26
"""Of a set's texts; so many take about a second."""


def check_texts(stage: Contrast, base: str) -> None:
    """Read what tells whether a stage's data can be read.

    Raises:
        RequestError: a column is missing, or a set holds something else; names the entry.
    """
    for number, entry in enumerate(stage.data):
        _check_columns(entry, base, f"data[{number}]")
    for number, spec in enumerate(stage.retrieval):
        at = f"retrieval[{number}]"
        if _is_small(spec, base):
            read_set(spec, base, at)
        else:
            read_qrels(spec.qrels, base, f"{at}.qrels")


def _check_columns(entry: Texts, base: str, at: str) -> None:
    names = [name for name in (entry.query, entry.positive, entry.negative) if name]
    lacking = None
    for row in read_rows(source_of(entry.path, base, at, where=entry.where), names, Left()):
        lacking = next((name for name in names[:2] if not isinstance(row.values[name], str)), None)
        if lacking is None:
            return
    if lacking:
        raise RequestError(f"{at}: {entry.path}: no row has texts in `{entry.query}` and `{entry.positive}`")


def _is_small(spec: Retrieval, base: str) -> bool:
    files = [file for path in (spec.queries, spec.corpus) for file in input_files(resolve(path, base))]
    return (
        all(Path(file).is_file() for file in files) and sum(Path(file).stat().st_size for file in files) < READ_BYTES
    )


def check_mask(stage: Mntp, folder: str) -> None:
    """That the tokenizer of the model that a training begins with has the mask that a stage names.

    Raises:
        RequestError: it has not. Tokenizers that cannot be read here are left to the stage.
    """
    try:
        from tokenizers import Tokenizer

        vocabulary = Tokenizer.from_file(f"{folder}/tokenizer.json").get_vocab()
    except Exception:  # no package, no file, or one that it cannot read
        return
    if stage.mask_token is not None and stage.mask_token not in vocabulary:
        raise RequestError(
            f"stage {stage.name}: mask_token: the tokenizer in {folder} has no token {stage.mask_token!r}; name one "
            "that it has, as a rare sign or an unused special token"
        )
