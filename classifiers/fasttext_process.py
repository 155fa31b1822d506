"""The process in which fastText trains (see fasttext_train.py): nothing but fastText is loaded, to start at once."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator


def main() -> None:
    """The process that trains: a task as JSON on stdin."""
    import fasttext

    task = json.load(sys.stdin)
    settings = {_argument(name): value for name, value in task["settings"].items()}
    with _quiet():
        model = fasttext.train_supervised(task["lines"], thread=1, verbose=0, **settings)
        if how := task["quantise"]:
            model.quantize(input=task["lines"] if how["retrain"] else None, thread=1, verbose=0, **how)
        model.save_model(task["made"])


def _argument(name: str) -> str:
    """How fastText spells a setting."""
    return {"min_count": "minCount", "word_ngrams": "wordNgrams"}.get(name, name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """fastText warns of nothing on stdout."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
