"""The command line: what a person sees, and exit codes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

import onggi
from classifiers.language import LID176
from tests.scenarios.runs import MANIFEST, lay_out

LIGHT = MANIFEST.replace("signals: true", "signals: false").replace(
    "  - {ruleset: gopher, when: \"language = 'en'\"}\n", ""
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a command line; (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_help_names_every_command(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("--help")
    assert code == 0
    for name in ("demo", "recipes", "plan", "curate", "decide", "diff", "explain", "report", "tune"):
        assert name in out


def test_version(run) -> None:  # type: ignore[no-untyped-def]
    assert run("--version")[:2] == (0, "0.1.0\n")


def test_recipes_are_listed_and_printed(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("recipes")
    assert code == 0
    assert "kanana-web" in out
    code, out, _ = run("recipes", "minimal")
    assert code == 0
    assert "kind: corpus" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["curate", "nowhere.yaml"], "nowhere.yaml"),
        (["curate", "kanana-wb"], "did you mean `kanana-web`"),
        (["recipes", "nothing"], "recipes: "),
        (["report", "nowhere"], "holds no run"),
        (["diff", "nowhere", "elsewhere"], "holds no run"),
        (["explain", "nowhere", "abcdef"], "holds no run"),
        (["decide", "nowhere"], "holds no run"),
        (["curate", "web.yaml", "--sample", "0"], "write a share such as 1%"),
        (["curate", "web.yaml", "--set", "langage=1"], "no rule is called that"),
        (["curate", "web.yaml", "--set", "limits.shard_bytes=x"], "shard_bytes"),
        (["decide", "nowhere", "--set", "store=columns"], "give one with --manifest"),
    ],
)
def test_wrong_requests_exit_2_and_say_why(  # type: ignore[no-untyped-def]
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    lay_out(tmp_path, LIGHT)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_every_mistake_of_a_manifest_is_named_with_its_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.yaml"
    path.write_text(LIGHT.replace("language_score", "langage_score").replace("exact: true", "exakt: true"))
    code, _, err = run("curate", str(path))
    assert code == 2
    assert "bad.yaml:12: dedup.exakt: unknown key; did you mean `exact`?" in err


def test_an_unknown_column_is_named_with_what_would_be_valid(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = lay_out(tmp_path, LIGHT.replace("language_score", "langage_score"))
    code, _, err = run("curate", str(path))
    assert code == 2
    assert "rule language" in err
    assert "did you mean language_score" in err


def test_plan_curate_and_report_as_json(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = lay_out(tmp_path, LIGHT)
    code, out, _ = run("plan", str(path), "--json")
    assert code == 0
    estimate = json.loads(out)["estimate"]
    assert not (tmp_path / "out").exists()
    code, out, _ = run("curate", str(path), "--json")
    assert code == 0
    record = json.loads(out)
    n_records = sum(item["n_records"] for item in estimate["inputs"])
    assert n_records / 2 <= record["counts"]["read"] <= n_records * 2
    assert record["counts"]["read"] == sum(record["counts"][name] for name in ("kept", "dropped", "failed"))
    code, out, _ = run("report", str(tmp_path / "out"))
    assert code == 0
    assert out.strip() == str(tmp_path / "out/report.html")


def test_a_sample_previews_the_funnel(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = lay_out(tmp_path, LIGHT)
    code, out, _ = run("curate", str(path), "--sample", "30%")
    assert code == 0
    assert "Extrapolated from a sample of 30.00%" in out
    assert (tmp_path / "out-sample/report.html").exists()
    assert not (tmp_path / "out").exists()


def test_a_failed_run_exits_1(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from manifests.errors import RunError

    def broken(*_: object) -> None:
        raise RunError("records were lost")

    monkeypatch.setattr("curation.pipeline.curate", broken)
    code, _, err = run("curate", str(lay_out(tmp_path, LIGHT)))
    assert code == 1
    assert "onggi: records were lost" in err


def test_ctrl_c_leaves_a_run_that_goes_on(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from curation import pipeline

    path = lay_out(tmp_path, LIGHT)
    real = pipeline.decide

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("curation.pipeline.decide", interrupted)
    code, _, err = run("curate", str(path))
    assert code == 1
    assert "the same command goes on from here" in err
    monkeypatch.setattr("curation.pipeline.decide", real)
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    assert run("curate", str(path))[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()} == parts


def test_scores_on_the_command_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text('{"text": "This is plain English prose."}\n{"text": "이것은 한국어다."}\n')
    command = ("score", f"english={LID176}", f"{tmp_path}/in", f"{tmp_path}/out", "--label", "en")
    code, out, _ = run(*command)
    assert code == 0
    assert "2 documents in 1 files, 2 with a score" in out
    rows = [json.loads(line) for line in (tmp_path / "out/a.jsonl").read_text().splitlines()]
    assert [row["english_int_score"] for row in rows] == [1, 0]
    out = run(*command, "--top", "50%")[1]
    assert "all there already" in out
    best = max(row["english_score"] for row in rows)
    assert f"top 50% of 2: english_score >= {best!r} (1 documents)" in " ".join(out.split())
    shares = json.loads(run(*command, "--top", "100%", "--json")[1])["top"]
    assert shares == {
        "english": {"threshold": min(row["english_score"] for row in rows), "n_values": 2, "n_at_least": 2}
    }
    code, _, err = run(*command, "--top", "0%")
    assert (code, "--top 0%: write a share such as 1%" in err) == (2, True)
    code, _, err = run("score", f"{LID176}", f"{tmp_path}/in", f"{tmp_path}/out")
    assert code == 2
    assert "--label" in err


def test_a_threshold_is_tuned_from_lines(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    import io

    assert run("curate", str(lay_out(tmp_path, LIGHT)))[0] == 0
    out = str(tmp_path / "out")
    code, found, _ = run("tune", out, "--json")
    assert code == 0
    asked = json.loads(found)
    assert asked["rule"] == "language"
    assert len(asked["documents"]) == 50
    assert asked["proposed"] is None
    wild = chr(27) + "]0;owned" + chr(7)
    monkeypatch.setattr("curation.tune.window", lambda text, n_chars: wild + text[:n_chars])
    monkeypatch.setattr("sys.stdin", io.StringIO("k\nㅏ\nx\nd\nb\nd\n" + "k\n" * 20 + "q\n"))
    code, found, shown = run("tune", out, "--rule", "language")
    assert code == 0
    assert "23 answers, 22 of them keep" in found
    assert chr(27) + "]" not in shown
    assert "␛]0;owned␇" in shown
    assert "[k]eep" in shown
    answers = tmp_path / "answers.jsonl"
    lines = [{"id": row["id"], "answer": "keep" if row["value"] >= 0.9 else "drop"} for row in asked["documents"]]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, found, _ = run("tune", out, "--answers", str(answers))
    assert code == 0
    assert f"onggi decide {out} --set language=" in found
    command = found.strip().splitlines()[-1].split()[1:]
    assert run(*command, "--output", str(tmp_path / "again"))[0] == 0
    answers.write_text('{"id": "nobody", "answer": "keep"}\n')
    code, _, err = run("tune", out, "--answers", str(answers))
    assert code == 2
    assert "none of its 1 answers is about a document that is asked for" in " ".join(err.split())
    code, _, err = run("tune", out, "--rule", "langage")
    assert code == 2
    assert "there are: language" in err


@pytest.mark.parametrize(
    ("pressed", "said"),
    [("k", "keep"), ("D", "drop"), ("ㄴ", "skip"), ("ㅠ", "back"), (chr(4), "quit"), (chr(27) + "[A", None)],
    ids=["k", "D", "s in Korean", "b in Korean", "end of input", "an arrow, then k"],
)
def test_one_key_answers_on_a_terminal(pressed: str, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    controller, terminal = os.openpty()
    answered = Event()

    def press() -> None:  # again and again, since a terminal forgets what was typed before it was asked
        os.write(controller, pressed.encode())
        while not answered.wait(0.1):
            os.write(controller, (pressed if said else "k").encode())

    with os.fdopen(terminal) as stdin, ThreadPoolExecutor() as threads:
        monkeypatch.setattr("sys.stdin", stdin)
        done = threads.submit(press)
        assert onggi._answer() == (said or "keep")
        answered.set()
        done.result()
    os.close(controller)
