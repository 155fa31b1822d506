"""Manifests from files: what is right loads, and what is wrong is told in full."""

from pathlib import Path

import fsspec
import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings
from pydantic import BaseModel

from manifests.errors import RequestError
from manifests.load import KINDS, MANIFEST_BYTES_MAX, load_manifest, parse_manifest
from manifests.schema import CorpusManifest, Output, Rule, RulesetUse

WHOLE = """\
kind: corpus
name: web
inputs:
  - {source: crawl, path: "crawl/*.warc.gz"}
  - {source: docs,  path: "docs/*.parquet", key: url, set: {date: 2024-01-01}}
measure:
  language: {model: lid176}
  signals: yes
rules:
  - {name: language, keep: "language in ('ko', 'en')"}
  - {ruleset: gopher, when: "language = 'en'"}
output: out/web
"""
HEAD = "kind: corpus\nname: web\ninputs: [{source: a, path: a}]\noutput: out\n"
NAME = "expected a name in ASCII (a letter, then letters, digits, `_` and `-`)"
EITHER = "expected a mapping of name (optional: keep, top, when), or a mapping of ruleset (optional: when)"


def meaning(model: type[BaseModel], field: str) -> str:
    return " ".join(str(model.model_fields[field].description).split())


def complaints(text: str) -> list[str]:
    with pytest.raises(RequestError) as caught:
        parse_manifest(text, "web.yaml")
    return str(caught.value).splitlines()


def test_whole_manifest() -> None:
    manifest = parse_manifest(WHOLE, "web.yaml")
    assert manifest.inputs[1].set == {"date": "2024-01-01"}  # a date stays text
    assert manifest.measure.signals and manifest.measure.language
    assert [type(rule) for rule in manifest.rules] == [Rule, RulesetUse]
    assert manifest.output.path == "out/web"


ALL_KINDS = ", ".join(sorted(KINDS))
WRONG = {
    "": ["web.yaml:1: there is nothing in it"],
    "- a": ["web.yaml:1: found a list; expected a mapping that begins `kind: corpus`"],
    "name: web": [f"web.yaml:1: kind: missing; valid: {', '.join(KINDS)}"],
    "kind: corpsu": [f"web.yaml:1: kind: found `corpsu`; did you mean `corpus`? valid: {ALL_KINDS}"],
    "kind: [corpus]": [f"web.yaml:1: kind: found a list; valid: {ALL_KINDS}"],
    "kind: corpus": [
        f"web.yaml:1: inputs: missing; expected a list that is not empty: {meaning(CorpusManifest, 'inputs')}",
        f"web.yaml:1: name: missing; {NAME}: {meaning(CorpusManifest, 'name')}",
        "web.yaml:1: output: missing; expected text, or a mapping of path (optional: shard_bytes): "
        + meaning(CorpusManifest, "output"),
    ],
    # YAML itself
    "kind: corpus\nname: 'web": [
        "web.yaml:2: not YAML: while scanning a quoted scalar, found unexpected end of stream"
    ],
    "kind: corpus\nmeasure:\n\tsignals: true": [
        "web.yaml:3: not YAML: while scanning for the next token, found character that cannot start any token; "
        "YAML is indented with spaces, not tabs"
    ],
    "kind: corpus\n---\nkind: corpus": [
        "web.yaml:2: not YAML: expected a single document in the stream, but found another document"
    ],
    "kind: corpus\nname: *web": ["web.yaml:2: not YAML: found undefined alias"],
    "kind: corpus\nname: \x00": ["web.yaml:2: the character U+0000, which YAML does not allow"],
    "kind: corpus\nname: \ud800": ["web.yaml:2: half of a surrogate pair, which is no character"],
    "[" * 100_000: ["web.yaml: nested more than 50 deep at line 1"],
    HEAD + "rules: &r [*r]": ["web.yaml: larger than 20,000 values or 50 levels once its aliases are expanded"],
    HEAD + "store: !!python/name:os.system": [
        "web.yaml:5: store: cannot be read as !!python/name:os.system; "
        "expected plain YAML: text, a number, true, false, a list or a mapping",
        "web.yaml:5: store: found nothing; valid: all, columns",
    ],
    HEAD + "name: again": ["web.yaml:5: name: key given twice, first on line 2"],
    HEAD + "? [a]\n: b": ["web.yaml:5: a key must be text, found a list or a mapping"],
    # keys
    HEAD + "measure:\n  languag:\n    model: x": [
        "web.yaml:6: measure.languag: unknown key; did you mean `language`? "
        "valid: blocklists, datatrove, extract, language, pii, robots, scores, signals, urls"
    ],
    HEAD + "zzz: 1": [
        "web.yaml:5: zzz: unknown key; valid: decontaminate, dedup, inputs, kind, limits, measure, "
        "name, output, redact, rules, store"
    ],
    HEAD + "limits: &l {record_bytes: 2000}\nmeasure: *l": [  # an alias is read where it stands
        "web.yaml:5: measure.record_bytes: unknown key; valid: blocklists, datatrove, extract, language, pii, "
        "robots, scores, signals, urls"
    ],
    # values
    HEAD + "store: column": ["web.yaml:5: store: found `column`; did you mean `columns`? valid: all, columns"],
    HEAD + "dedup:": [
        "web.yaml:5: dedup: found nothing; expected a mapping of any of exact, url, near, semantic, against, lines, "
        "spans, max_removed_frac; or leave the key out"
    ],
    HEAD + "dedup: {exact: perhaps}": ["web.yaml:5: dedup.exact: found `perhaps`; expected true or false"],
    HEAD + "limits:\n  record_bytes: 64MB\n  shard_bytes: 5": [
        "web.yaml:6: limits.record_bytes: found `64MB`; expected a whole number, at least 1024",
        "web.yaml:7: limits.shard_bytes: found `5`; expected a whole number, at least 1024",
    ],
    HEAD + "limits: {record_bytes: .nan}": [
        "web.yaml:5: limits.record_bytes: found `.nan`; expected a whole number, at least 1024"
    ],
    HEAD + "measure: {language: {model: 176}}": [
        "web.yaml:5: measure.language.model: found `176`; expected text; put it in quotes"
    ],
    "kind: corpus\nname: 1st\ninputs: []\noutput: {pth: x}": [
        f"web.yaml:2: name: found `1st`; {NAME}",
        "web.yaml:3: inputs: found an empty list; expected a list that is not empty",
        "web.yaml:4: output.path: missing; expected text that is not empty: " + meaning(Output, "path"),
        "web.yaml:4: output.pth: unknown key; did you mean `path`? valid: path, shard_bytes",
    ],
    "kind: corpus\nname: web\noutput: out\ninputs:\n- source: a\n  path: a\n  text: t\n  html: h": [
        "web.yaml:5: inputs[0]: name one of `text`, `html` and `template`"
    ],
    "kind: corpus\nname: web\noutput: out\ninputs:\n- {source: a, path: a, set: {urll: x}, metadata: {1x: y}}": [
        f"web.yaml:5: inputs[0].metadata.1x: unknown key; {NAME}",
        "web.yaml:5: inputs[0].set.urll: unknown key; did you mean `url`? valid: category, date, license, url",
    ],
    HEAD.replace("output: out", "output: 5"): [
        "web.yaml:4: output: found `5`; expected text, or a mapping of path (optional: shard_bytes); put it in quotes"
    ],
    # personal data
    HEAD + "redact: {mode: placeholder}": [
        "web.yaml:1: redact: nothing is measured; name `measure.pii: {kinds: [...]}`"
    ],
    HEAD + "measure: {pii: {kinds: [email]}}\nredact: {kinds: [phone]}": [
        "web.yaml:1: redact.kinds: not among measure.pii.kinds: phone"
    ],
    HEAD + "measure: {pii: {kinds: [email]}}\nredact: {mode: surrogate}": [
        "web.yaml:6: redact: `key` goes with `mode: surrogate`: the environment variable or the file that holds it"
    ],
    # a rule or a ruleset: one complaint, about the form that was meant
    HEAD + "rules:\n- {name: long, kep: 'true'}": [
        "web.yaml:6: rules[0].kep: unknown key; did you mean `keep`? valid: keep, name, top, when",
    ],
    HEAD + "rules:\n- {name: long, when: 'true'}": [
        "web.yaml:6: rules[0]: a rule has either `keep`, a predicate, or `top`, a share"
    ],
    HEAD + "rules:\n- {name: best, top: {score: edu_score, frac: 140%}}": [
        "web.yaml:6: rules[0].top.frac: found `140%`; expected a number, above 0, at most 1, or a share such as 10%"
    ],
    HEAD + "rules:\n- {name: best, top: {score: edu_score, frac: ten%}}": [
        "web.yaml:6: rules[0].top.frac: found `ten%`; expected a number, above 0, at most 1, or a share such as 10%"
    ],
    HEAD + "measure: {scores: [{name: a, model: m}, {name: a_int, model: m}]}": [
        "web.yaml:5: measure: scores: a_int: the column a_int_score is that of the score a already"
    ],
    HEAD + "rules:\n- {ruleset: gopher, threshold: 3}": [
        "web.yaml:6: rules[0].threshold: unknown key; valid: ruleset, when"
    ],
    HEAD + "rules:\n- gopher\n- {ruleset: gopher, keep: x}": [
        f"web.yaml:6: rules[0]: found `gopher`; {EITHER}",
        "web.yaml:7: rules[1].keep: unknown key; valid: ruleset, when",
    ],
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=range(len(WRONG)))
def test_wrong_manifest(text: str, expected: list[str]) -> None:
    assert complaints(text) == expected


def test_alias_bomb_is_bounded() -> None:
    steps = [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert "once its aliases are expanded" in complaints("\n".join(["a0: &a0 [x, x, x]", *steps]))[0]


def test_mistakes_shown_are_bounded() -> None:
    lines = complaints(HEAD + "\n".join(f"key{i}: 1" for i in range(70)))
    assert len(lines) == 51
    assert lines[-1] == "... and 20 more"


def test_long_keys_and_values_are_shortened() -> None:
    lines = complaints(HEAD + f"? {'k' * 5000}\n: 1\nstore: {'v' * 5000}")
    assert max(map(len, lines)) < 400


YAMLISH = st.text(alphabet="kind:corpus\n\t -{}[]&*!<>|'\"#%@,?~01.e한é", max_size=80)
PIECES = st.sampled_from(
    [
        "name: ",
        "inputs: ",
        "rules:\n",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "*a",
        "&a ",
        "!!int ",
        "source: a\n",
        "null",
        "\n",
        "  ",
    ]
)


@given(YAMLISH | st.text(max_size=40) | st.lists(PIECES, max_size=25).map("".join))
@example("!!set {a}")
@example("name: !!int")
@example("name: !!str [b]")
@example("name: 0x_")
@example("name: " + "9" * 5000)
@settings(max_examples=300, deadline=None)
def test_any_text_loads_or_is_refused(text: str) -> None:
    for whole in (text, "kind: corpus\n" + text, HEAD + text):
        try:
            parse_manifest(whole, "web.yaml")
        except RequestError as error:
            assert str(error).startswith("web.yaml")


# Files


def refusal(path: str, *overrides: str) -> str:
    with pytest.raises(RequestError) as caught:
        load_manifest(path, overrides)
    return str(caught.value)


def test_files_that_cannot_be_manifests(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    assert refusal(str(path)) == f"{path}: there is no such file"
    assert refusal(str(tmp_path)) == f"{tmp_path}: is a folder; expected a YAML file"
    assert "nowhere://web.yaml: cannot be read: " in refusal("nowhere://web.yaml")
    path.write_bytes(b" " * (MANIFEST_BYTES_MAX + 1))
    assert refusal(str(path)) == f"{path}: larger than 1,048,576 bytes, so it is no manifest"
    path.write_bytes("kind: corpus\nname: 말뭉치".encode("cp949"))
    assert refusal(str(path)) == f"{path}:2: the byte 0xb8 is not UTF-8; save the file as UTF-8"


def test_fsspec_url_and_byte_order_mark() -> None:
    with fsspec.open("memory://load/web.yaml", "wb") as file:
        file.write(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load_manifest("memory://load/web.yaml") == parse_manifest(WHOLE, "web.yaml")


# Overrides


@pytest.fixture
def whole(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text(WHOLE, "utf-8")
    return str(path)


def test_overrides(whole: str) -> None:
    changes = [
        "limits.shard_bytes=2048",  # made where it is missing
        "inputs.crawl.path=other/*.warc",
        "inputs[1].set.date=2025",
        "rules.language.keep=language = 'ko'",
        "rules.gopher.when=hangul_frac < 0.1",
        "output={path: elsewhere, shard_bytes: 4096}",
        "inputs.1.set={date: '2025'}",
    ]
    manifest = load_manifest(whole, changes)
    assert manifest.limits.shard_bytes == 2048
    assert manifest.inputs[0].path == "other/*.warc"
    assert manifest.inputs[1].set == {"date": "2025"}
    assert [getattr(rule, "keep", rule.when) for rule in manifest.rules] == ["language = 'ko'", "hangul_frac < 0.1"]
    assert (manifest.output.path, manifest.output.shard_bytes) == ("elsewhere", 4096)


def test_override_of_a_rule_with_a_dot_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(HEAD + "rules: [{name: mine.short, keep: a}]", "utf-8")
    (rule,) = load_manifest(str(path), ["rules.mine.short.keep=b"]).rules
    assert isinstance(rule, Rule) and rule.keep == "b"


WRONG_OVERRIDES = {
    "limits": "expected PATH=VALUE, as in limits.shard_bytes=1048576",
    "=3": "expected PATH=VALUE, as in limits.shard_bytes=1048576",
    "limits.shard_bytes=many": "limits.shard_bytes: found `many`; expected a whole number, at least 1024",
    "measure.languag.model=x": (
        "measure.languag: unknown key; did you mean `language`? "
        "valid: blocklists, datatrove, extract, language, pii, robots, scores, signals, urls"
    ),
    "rules.lang.keep=x": "nothing is called `lang` there; valid: language, gopher",
    "rules.7.keep=x": "nothing is called `7` there; valid: language, gopher",
    "name.x=y": "nothing is called `x` there; it is a single value",
    "name=[": "not YAML: while parsing a flow node, did not find expected node content",
    "name=": "there is nothing in it",
}


@pytest.mark.parametrize(("change", "expected"), WRONG_OVERRIDES.items())
def test_wrong_override(whole: str, change: str, expected: str) -> None:
    assert refusal(whole, change) == f"--set {change}: {expected}"


def test_wrong_overrides_follow_the_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(HEAD + "zzz: 1", "utf-8")
    first, second = refusal(str(path), "store=some").splitlines()
    assert first.startswith(f"{path}:5: zzz: unknown key")
    assert second == "--set store=some: store: found `some`; valid: all, columns"
