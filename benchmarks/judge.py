"""How well a judge judges: its labels of English windows beside the scores that a large language model gave them.

The windows are of `benchmarks/data/edu_windows`, so many of each score (0 to 4; one window has a 5), drawn by a seed.
Any OpenAI-compatible server will do; answers are kept, so that a second run asks for nothing. Each judge has its own
section of the result, which replaces the one that it had.

    make judge && .venv-judge/bin/python benchmarks/judge_server.py --port 8000 &
    python benchmarks/judge.py --url http://127.0.0.1:8000/v1 --model smollm2-135m-instruct --write
    python benchmarks/judge.py --url https://... --model qwen3-32b --api-key JUDGE_KEY --max-tokens 2048 --write
"""

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl

from classifiers.evaluate import spearman
from manifests.schema_teacher import Teacher as Settings
from synth.annotations.agreement import Agreement, agreement
from synth.annotations.annotate import Annotation, Document, annotate
from synth.teacher import Teacher, Usage

HERE = Path(__file__).parent
WINDOWS, RESULT = HERE / "data" / "edu_windows" / "windows.parquet", HERE / "results" / "judge.md"
SCORES = range(6)


def sample(language: str, per_score: int) -> pl.DataFrame:
    """Windows, so many of each score: `id`, `text`, `source`, `score` (the mean of two readings, rounded)."""
    windows = pl.read_parquet(WINDOWS).filter(lang=language).sample(fraction=1, shuffle=True, seed=0)
    windows = windows.with_columns(score=(pl.col.score + 0.5).floor().cast(pl.Int64))
    windows = windows.filter(pl.int_range(pl.len()).over("score") < per_score)
    return windows.select("id", "text", "source", "score")


def section(title: str, windows: pl.DataFrame, found: Annotation, usage: Usage, seconds: float) -> list[str]:
    outcomes = ", ".join(f"{n} {name}" for name, n in found.outcomes.most_common())
    lines = [f"## {title}", "", f"{windows.height} windows: {outcomes}. {asked(usage, seconds)}", ""]
    judged, sources = (dict(windows.select("id", name).iter_rows()) for name in ("score", "source"))
    compared = agreement(judged, found.scores, sources)
    return [*lines, *(agreed(judged, found.scores, compared) if compared else ["No label at all."])]


def asked(usage: Usage, seconds: float) -> str:
    if not usage.n_paid:
        return f"All {usage.n_kept} answers were there already."
    rate = f"{usage.n_output_tokens / seconds:.0f} tokens/s of answers"
    tokens = f"{usage.n_prompt_tokens:,} tokens of prompts, {usage.n_output_tokens:,} of answers"
    return f"{usage.n_paid} requests, {tokens}, {seconds:.0f} s, {rate}."


def agreed(judged: dict[str, int], said: dict[str, int], compared: Agreement) -> list[str]:
    both = sorted(said)
    first, second = (np.array([labels[id_] for id_ in both]) for labels in (judged, said))
    # What somebody gets who says the same of every window, having seen the answers.
    constant = max((float((first == score).mean()), score) for score in SCORES)
    within = max((float((np.abs(first - score) <= 1).mean()), score) for score in SCORES)
    rank = spearman(first.astype(float), second.astype(float))
    lines = [
        "| | judge | the best constant |",
        "|---|---|---|",
        f"| the same score | {compared.equal_frac:.3f} | {constant[0]:.3f} (always {constant[1]}) |",
        f"| within one point | {compared.within_one_frac:.3f} | {within[0]:.3f} (always {within[1]}) |",
        f"| quadratic weighted kappa | {compared.kappa:.3f} | 0 |",
        f"| kappa of who says 3 or more | {compared.kappa_positive:.3f} | 0 |",
        f"| Spearman | {rank:.3f} | not defined |",
        f"| mean score | {second.mean():.2f} (judged: {first.mean():.2f}) | |",
        "",
        "| judged \\ says | " + " | ".join(map(str, SCORES)) + " |",
        "|---" * 7 + "|",
    ]
    for row in SCORES:
        counts = [int(((first == row) & (second == column)).sum()) for column in SCORES]
        lines.append(f"| {row} | " + " | ".join(map(str, counts)) + " |")
    return lines


def written(lines: list[str]) -> str:
    """The result with this section, in the place of the one of the same title."""
    head = [
        "# How well a judge judges",
        "",
        "Agreement with the scores that a large language model gave, over the windows that got a label; written by",
        "`benchmarks/judge.py`. The sample is even over scores 0 to 4, not as they occur. Tokens a second depend on",
        "what else the machine does.",
    ]
    old = RESULT.read_text() if RESULT.exists() else ""
    sections = {part.split("\n", 1)[0]: part.strip().split("\n") for part in old.split("\n## ")[1:]}
    sections[lines[0][3:]] = [lines[0][3:], *lines[1:]]
    for title in sorted(sections):
        head += ["", f"## {title}", *sections[title][1:]]
    return "\n".join(head) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="where the API begins, as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--api-key", help="name of the variable of the environment that holds the key")
    parser.add_argument("--language", choices=["en", "ko"], default="en")
    parser.add_argument("--per-score", type=int, default=25, help="windows of each score at most")
    parser.add_argument("--max-tokens", type=int, default=256, help="of an answer; thinking models need more")
    parser.add_argument("--answers", type=Path, default=HERE / "results" / "raw" / "judge.sqlite")
    parser.add_argument("--write", action="store_true", help="put the section into results/judge.md")
    options = parser.parse_args()
    settings = Settings.model_validate(
        {
            "model": options.model,
            "url": options.url,
            "api_key": options.api_key,
            "sampling": {"max_tokens": options.max_tokens},
            "answers": str(options.answers.resolve()),
            "timeout_s": 900,
        }
    )
    windows, started = sample(options.language, options.per_score), time.monotonic()
    documents = [Document(id_, text, options.language) for id_, text in windows.select("id", "text").iter_rows()]
    with Teacher(settings, "/", "/") as teacher:
        found = annotate(documents, teacher, progress=lambda _, done, total, note: print(f"{done}/{total} {note}"))
        title = f"{options.model}, {options.language}"
        lines = section(title, windows, found, teacher.usage, time.monotonic() - started)
    print("\n".join(lines))
    if options.write:
        RESULT.write_text(written(lines))


if __name__ == "__main__":
    main()
