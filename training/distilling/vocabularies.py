"""That a student's and a teacher's token ids mean the same, without which their logits cannot be compared."""

from collections.abc import Collection, Mapping
from typing import Any

from manifests.errors import RequestError
from synth.teachers.tokens import tokenizer_digest

BY_TEXT = (
    "Distil by text instead: let that teacher write answers with `onggi synth` (recipes `reasoning-ko`, "
    "`instructions-ko`, `reasoning-en`, `hard-maths`), and train on them in a stage of kind `sft`, as DNA 1.0 did "
    "with Qwen2.5 72B (docs/distillation.md)"
)


def check_vocabularies(tokenizer: Any, teachers: Any, folder: str) -> None:
    """That each token has the same id in both tokenizers.

    Raises:
        RequestError: they differ; names a token, and what may be done instead.
    """
    mine, theirs = tokenizer.get_vocab(), teachers.get_vocab()
    _refuse({token for token in {*mine, *theirs} if mine.get(token) != theirs.get(token)}, mine, theirs, folder)


def check_of_base(base: str, folder: str) -> None:
    """The same before anything is trained: that the teacher has the tokens of the base, which stages only add to.

    Args:
        base: folder of the model that a training begins with.
        folder: the teacher's.

    Raises:
        RequestError: a token has another id there. Tokenizers that cannot be read here are left to the stage.
    """
    try:
        from tokenizers import Tokenizer

        mine, theirs = (Tokenizer.from_file(f"{one}/tokenizer.json").get_vocab() for one in (base, folder))
    except Exception:  # no package, no file, or one that it cannot read
        return
    _refuse({token for token, number in mine.items() if theirs.get(token) != number}, mine, theirs, folder)


def _refuse(differ: Collection[str], mine: Mapping[str, int], theirs: Mapping[str, int], folder: str) -> None:
    if not differ:
        return
    token = min(differ, key=lambda one: (mine.get(one, len(mine)), one))
    raise RequestError(
        f"teacher: {folder} has another vocabulary than the student ({len(theirs):,} tokens, the student "
        f"{len(mine):,}; {len(differ):,} differ, as {token!r}: id {theirs.get(token, 'none')} there, "
        f"{mine.get(token, 'none')} here), so their probabilities cannot be compared token by token. {BY_TEXT}"
    )


def n_common_ids(tokenizer: Any, rows: Mapping[str, int]) -> int:
    """Rows of output matrices that are compared: those that all models have.

    Matrices may be padded beyond the last token, as many are to a round number; rows that only one of them has stand
    for no token.

    Args:
        tokenizer: of all.
        rows: of each model's output matrix, by what errors call it.

    Raises:
        RequestError: a matrix has no row for some token.
    """
    n_ids = n_ids_of(tokenizer)
    for model, n in rows.items():
        if n < n_ids:
            raise RequestError(
                f"distill: the tokenizer has ids up to {n_ids - 1:,}, and {model} an output for {n:,} only: "
                f"`onggi tokenizer resize` gives a model as many as its tokenizer has. {BY_TEXT}"
            )
    return min(rows.values())


def n_ids_of(tokenizer: Any) -> int:
    """Ids up to that of its last token."""
    return 1 + max(int(number) for number in tokenizer.get_vocab().values())


def check_stored(digests: Mapping[str, int], model: str, path: str) -> None:
    """That stored tokens are of the student's tokenizer.

    Args:
        digests: rows of the table by the digest of their tokenizer.
        model: folder of the student.
        path: of the table, for errors.

    Raises:
        RequestError: they are not.
    """
    own = tokenizer_digest(model)
    if others := {digest: n for digest, n in digests.items() if digest != own}:
        digest, n = max(others.items(), key=lambda item: item[1])
        raise RequestError(
            f"logprobs: {path}: {n:,} rows hold ids of another tokenizer (digest {digest}) than that of the student "
            f"{model} (tokenizer.json: {own}), so they may mean other tokens. If both are one tokenizer saved twice, "
            f"give the student the very file that `teacher.logprobs.tokenizer` of that run names. {BY_TEXT}"
        )
