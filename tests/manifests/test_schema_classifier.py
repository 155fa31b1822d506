"""Manifests of classifiers: what is wrong is said with its line, and what fits together is checked."""

from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.load import any_manifest, load_kind, load_manifest, parse_manifest
from manifests.schema_classifier import ClassifierManifest

WHOLE = """\
kind: classifier
name: edu
seeds:
  - {path: seeds.parquet}
documents:
  - {path: pool/*.parquet, where: "language = 'ko'"}
model: {kind: fasttext, dim: 8}
teacher: {model: judge, url: "http://127.0.0.1:8000/v1"}
output: out
"""


def load(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> ClassifierManifest:
    (folder / "edu.yaml").write_text(text)
    return load_kind(ClassifierManifest, str(folder / "edu.yaml"), overrides)


def test_a_whole_manifest(tmp_path: Path) -> None:
    manifest = load(tmp_path, WHOLE)
    assert manifest.n_rounds == 5
    assert manifest.model.dim == 8
    assert any_manifest(str(tmp_path / "edu.yaml")) == manifest
    assert load(tmp_path, WHOLE, ("stop.rounds=2", "model.lr=0.5")).stop.rounds == 2
    assert (
        load(
            tmp_path, WHOLE.replace("documents:\n  - {path: pool/*.parquet, where: \"language = 'ko'\"}\n", "")
        ).n_rounds
        == 0
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "teacher: {model: judge, url",
            "techer: {model: judge, url",
            "8: techer: unknown key; did you mean `teacher`?",
        ),
        ('teacher: {model: judge, url: "http://127.0.0.1:8000/v1"}\n', "", "documents: nobody labels them; name a"),
        ("dim: 8", "dim: 0", "7: model.dim: found `0`; expected a whole number, at least 1"),
        ("dim: 8", "minn: 4", "minn is 4; it must be at most maxn, 0"),
        ("output: out", "output: out\nknown_labels: {path: x}", "name either `teacher` or `known_labels`, not both"),
        ("output: out", "output: out\ncandidates: {top: 1}", "add up to 1.9"),
        ("output: out", "output: out\nlanguages: [korean!]", "languages[0]: found `korean!`"),
        ("output: out", "output: out\nstop: {precision: 90}", "stop.precision: found `90`"),
        (
            'teacher: {model: judge, url: "http://127.0.0.1:8000/v1"}',
            "second_teacher: {model: judge, replay: x}\nstop: {rounds: 0}",
            "there is no first `teacher` to agree with",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        load(tmp_path, WHOLE.replace(old, new))
    assert message in str(caught.value)


def test_each_command_names_the_other(tmp_path: Path) -> None:
    (tmp_path / "edu.yaml").write_text(WHOLE)
    with pytest.raises(RequestError, match=r"is of `kind: classifier`, which is for `onggi classifier`"):
        load_manifest(str(tmp_path / "edu.yaml"))
    with pytest.raises(RequestError, match="which is for `onggi classifier`"):
        parse_manifest(WHOLE, "edu.yaml")
    (tmp_path / "web.yaml").write_text("kind: corpus\nname: x\ninputs: [{source: s, path: p}]\noutput: o\n")
    with pytest.raises(RequestError, match="which is for `onggi curate`"):
        load_kind(ClassifierManifest, str(tmp_path / "web.yaml"))


def test_two_teachers_have_a_file_of_answers_each(tmp_path: Path) -> None:
    """A file is locked by the teacher that asks: the second one would wait for the first, which never ends."""
    second = "output: out\nsecond_teacher: {model: other, replay: x}"
    two = WHOLE.replace("output: out", second)
    assert load(tmp_path, two).second_teacher
    assert load(tmp_path, two, ("teacher.answers=a", "second_teacher.answers=b")).second_teacher
    with pytest.raises(RequestError, match=r"second_teacher\.answers: both teachers ask at once"):
        load(tmp_path, two, ("teacher.answers=a", "second_teacher.answers=a"))
