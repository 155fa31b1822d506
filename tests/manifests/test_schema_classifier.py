"""What a manifest of a classifier refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from manifests.schema_classifier import ClassifierManifest


def manifest(**more: Any) -> ClassifierManifest:
    given = {"kind": "classifier", "name": "edu", "seeds": [{"path": "s"}], "model": {"kind": "fasttext"}}
    return ClassifierManifest.model_validate({**given, "output": "out", **more})


def test_two_teachers_have_a_file_of_answers_each() -> None:
    """A file is locked by the teacher that asks: the second one would wait for the first, which never ends."""
    first, second = ({"model": name, "url": "http://x/v1"} for name in "ab")
    assert manifest(teacher=first, second_teacher=second)
    assert manifest(teacher={**first, "answers": "a"}, second_teacher={**second, "answers": "b"})
    with pytest.raises(ValidationError, match=r"second_teacher\.answers: both teachers ask at once"):
        manifest(teacher={**first, "answers": "a"}, second_teacher={**second, "answers": "a"})
