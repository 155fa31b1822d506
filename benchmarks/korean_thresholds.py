"""Thresholds of a Korean ruleset that decide as FineWeb-2 does with Kiwi words: fitted on one half, judged on one.

    .venv/bin/python benchmarks/korean_thresholds.py        after benchmarks/korean_oracle.py, which see

For each rule that depends on the word segmentation the threshold is matched by quantile: of the documents of the half
to fit on, as many exceed it as exceed FineWeb-2's own threshold on Kiwi words. Documents of fewer than 50 Kiwi words
are left out of that (they are dropped anyway; only the rule on length is fitted on all). The spread is that of 500
bootstrap samples. The tables of agreement judge other documents with the rulesets as they ship.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from curation.predicates import dotted_columns
from curation.rules import CheckedRule, judge, load_rules, override
from curation.signals import SIGNAL_TYPE, measure_signals
from manifests.schema import RulesetUse

Bools = NDArray[np.bool_]
RAW = Path("benchmarks/results/raw")
MIN_WORDS = 50
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Oracle:
    """A rule of datatrove: it drops where `signal op threshold`, and is skipped where the signal is null."""

    reason: str
    part: str
    signal: str
    op: str
    threshold: float
    fitted: bool = True

    def drops(self, documents: pl.DataFrame) -> Bools:
        """Whether this rule by itself drops each document."""
        signal = pl.col(f"kiwi_{self.signal}")
        beyond = signal > self.threshold if self.op == ">" else signal < self.threshold
        return documents.select(beyond.fill_null(False)).to_series().to_numpy()


ORACLES = {
    "dup_line_frac": Oracle("dup_line_frac", "repetition", "dup_line_frac", ">", 0.374, fitted=False),
    "top_2_gram": Oracle("top_2_gram", "repetition", "top_2_gram", ">", 0.282),
    "top_3_gram": Oracle("top_3_gram", "repetition", "top_3_gram", ">", 0.228),
    "top_4_gram": Oracle("top_4_gram", "repetition", "top_4_gram", ">", 0.185),
    "dup_5_gram": Oracle("duplicated_5_n_grams", "repetition", "dup_5_gram", ">", 0.201),
    "dup_6_gram": Oracle("duplicated_6_n_grams", "repetition", "dup_6_gram", ">", 0.184),
    "dup_7_gram": Oracle("duplicated_7_n_grams", "repetition", "dup_7_gram", ">", 0.168),
    "dup_8_gram": Oracle("duplicated_8_n_grams", "repetition", "dup_8_gram", ">", 0.154),
    "dup_9_gram": Oracle("duplicated_9_n_grams", "repetition", "dup_9_gram", ">", 0.14),
    "dup_10_gram": Oracle("duplicated_10_n_grams", "repetition", "dup_10_gram", ">", 0.127),
    "terminal_line_frac": Oracle("line_punct_ratio", "fineweb", "line_punct_ratio", "<", 0.062, fitted=False),
    "dup_line_char_frac": Oracle("char_dup_ratio", "fineweb", "char_dup_ratio", ">", 0.1, fitted=False),
    "newline_word_ratio": Oracle("list_ratio", "fineweb", "list_ratio", ">", 0.196),
    "word_count_min": Oracle("gopher_short_doc", "quality", "words", "<", MIN_WORDS),
    "avg_word_length_max": Oracle("gopher_above_avg_threshold", "quality", "avg_word_length", ">", 6),
    "hash_word_ratio": Oracle("gopher_too_many_hashes", "quality", "hash_ratio", ">", 0.1),
    "ellipsis_word_ratio": Oracle("gopher_too_many_ellipsis", "quality", "ellipsis_ratio", ">", 0.1),
    "alpha_word_frac": Oracle("gopher_below_alpha_threshold", "quality", "alpha_ratio", "<", 0.791),
    "stop_word_count": Oracle("gopher_enough_stop_words", "quality", "stop_words", "<", 2),
}
PARTS = {
    "repetition": [
        "not_empty", "dup_line_frac", *(f"top_{n}_gram" for n in (2, 3, 4)), *(f"dup_{n}_gram" for n in range(5, 11)),
    ],
    "fineweb": ["not_blank", "terminal_line_frac", "dup_line_char_frac", "newline_word_ratio"],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", type=Path, default=RAW / "korean_oracle.parquet", help="to fit on and to judge")
    parser.add_argument("--fresh", type=Path, default=RAW / "korean_fresh.parquet", help="to judge only")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/korean_thresholds.md"))
    args = parser.parse_args()
    documents, fresh = measured(args.oracle), measured(args.fresh)
    is_fit = half(documents["id"])
    fit, held_out = documents.filter(is_fit), documents.filter(~is_fit)
    sets = {"held-out half": held_out, "fresh sample": fresh}
    sets |= {f"{name}, {MIN_WORDS}+ words": long(documents) for name, documents in sets.items()}
    text = "\n".join(report(fit, sets))
    args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def report(fit: pl.DataFrame, sets: dict[str, pl.DataFrame]) -> list[str]:
    pieces, eojeol = loaded("fineweb2-ko"), loaded("fineweb2-ko-eojeol")
    sizes = ", ".join(f"{name} {documents.height:,}" for name, documents in sets.items())
    lines = [
        "# FineWeb-2's Korean filters without Kiwi\n",
        "datatrove 0.10.1 with `kor_Hang.yml` and Kiwi 0.21 (sbg) is the oracle. Documents: "
        f"fitted on {fit.height:,}; judged on: {sizes}. The segmentation into pieces was chosen with sight of the "
        "held-out half; the fresh sample was drawn after that, shares no document with the first, and holds longer "
        "documents. Generated by `benchmarks/korean_thresholds.py`.\n",
        "## All filters together\n", *summary_table({"FineWeb-2's numbers, on eojeol": naive(),
            "fitted to eojeol (`fineweb2-ko-eojeol`)": eojeol, "fitted to pieces (`fineweb2-ko`)": pieces}, sets),
    ]  # fmt: skip
    for name, rules in (("fineweb2-ko", pieces), ("fineweb2-ko-eojeol", eojeol)):
        lines += [f"\n## {name}: thresholds\n", *threshold_table(fit, rules)]
        for which, documents in sets.items():
            lines += [f"\n## {name}: agreement, {which}\n", *agreement_table(documents, rules)]
    both = pl.concat([long(sets["held-out half"]), long(sets["fresh sample"])])
    return [*lines, f"\n## fineweb2-ko by source, {MIN_WORDS}+ words, both samples\n", *source_table(both, pieces)]


def long(documents: pl.DataFrame) -> pl.DataFrame:
    return documents.filter(pl.col("kiwi_words") >= MIN_WORDS)


def loaded(ruleset: str) -> list[CheckedRule]:
    return load_rules([RulesetUse(ruleset=ruleset)], "", COLUMNS)


def naive() -> list[CheckedRule]:
    """The rules on eojeol with the numbers that were made for Kiwi words."""
    use = RulesetUse(ruleset="fineweb2-ko-eojeol")
    names = [short_name(rule) for rule in loaded(use.ruleset)]
    numbers = [f"{use.ruleset}.{name}={ORACLES[name].threshold}" for name in names if name in ORACLES]
    return load_rules(override([use], numbers, ""), "", COLUMNS)


def summary_table(rulesets: dict[str, list[CheckedRule]], sets: dict[str, pl.DataFrame]) -> list[str]:
    """One row per ruleset: agreement and kappa on each set."""
    rows = ["| rules | " + " | ".join(sets) + " |", "|---|" + "---:|" * len(sets)]
    for name, rules in rulesets.items():
        cells = []
        for documents in sets.values():
            *_, agreement, kappa, _ = agreement_row(
                "", dropped_by_kiwi(documents), dropped_by(documents, rules)
            ).split("|")
            cells.append(f"{agreement.strip()}, kappa {kappa.strip()}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


COLUMNS = dotted_columns(pa.schema([("signals", SIGNAL_TYPE)]))


def measured(path: Path) -> pl.DataFrame:
    """The oracle's documents, with Onggi's signals."""
    documents = pl.read_parquet(path)
    signals = measure_signals(documents["text"].to_arrow().cast(pa.large_string()))
    return documents.with_columns(pl.from_arrow(signals).alias("signals"))


def half(ids: pl.Series) -> pl.Series:
    """True for the documents to fit on."""
    return pl.Series([hashlib.blake2b(key.encode(), digest_size=1).digest()[0] % 2 == 0 for key in ids])


def values(documents: pl.DataFrame, rule: CheckedRule) -> NDArray[np.float64]:
    """What the rule compares with its threshold, oriented so that more is worse; -inf where it is missing."""
    value = documents.select(rule.keep.parts[0].value).to_series().to_numpy().astype(float)
    return np.nan_to_num(value if is_upper(rule) else -value, nan=-np.inf)


def is_upper(rule: CheckedRule) -> bool:
    return "<=" in rule.keep.sql


def short_name(rule: CheckedRule) -> str:
    return rule.name.partition(".")[2]


def match_quantile(value: NDArray[np.float64], drops: Bools) -> float:
    """The threshold that as many values exceed as `drops` are true: midway between the two values around it."""
    ordered = np.sort(value)[::-1]
    n_drops = int(drops.sum())
    if n_drops in (0, len(ordered)):
        return float(ordered[0] if n_drops == 0 else ordered[-1])
    return float(ordered[n_drops - 1] + ordered[n_drops]) / 2


def threshold_table(fit: pl.DataFrame, rules: list[CheckedRule]) -> list[str]:
    rows = [
        "| rule | datatrove's reason | Kiwi | drops of fit half | shipped | refitted | 5% to 95% |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    rng = np.random.default_rng(1)
    for rule in rules:
        oracle = ORACLES.get(short_name(rule))
        if oracle is None:
            continue
        shipped = rule.keep.parts[0].threshold
        cells = ["same measure", ""]
        pool = fit if oracle.signal == "words" else fit.filter(pl.col("kiwi_words") >= MIN_WORDS)
        drops = oracle.drops(pool)
        if oracle.fitted:
            value, sign = values(pool, rule), 1 if is_upper(rule) else -1
            picks = [rng.integers(0, len(drops), len(drops)) for _ in range(N_BOOTSTRAP)]
            spread = sorted(sign * match_quantile(value[pick], drops[pick]) for pick in picks)
            low, high = spread[N_BOOTSTRAP // 20], spread[-N_BOOTSTRAP // 20]
            cells = [f"{sign * match_quantile(value, drops):.4g}", f"{low:.4g} to {high:.4g}"]
        first = f"| {short_name(rule)} | {oracle.reason} | {oracle.threshold:g} | {drops.sum()} | {shipped:g} | "
        rows.append(first + " | ".join(cells) + " |")
    return rows


def agreement_table(documents: pl.DataFrame, rules: list[CheckedRule]) -> list[str]:
    rows = ["| | Kiwi drops | Onggi drops | agreement | kappa |", "|---|---:|---:|---:|---:|"]
    dropped = {short_name(rule): dropped_by(documents, [rule]) for rule in rules}
    for name, oracle in ORACLES.items():
        if name in dropped:
            rows.append(agreement_row(name, oracle.drops(documents), dropped[name]))
    for part in ("repetition", "fineweb", "quality"):
        mine = [rule for rule in rules if part_of(rule) == part]
        theirs = documents[f"{part}_reason"].is_not_null().to_numpy()
        rows.append(agreement_row(f"**{part} filter**", theirs, dropped_by(documents, mine)))
    rows.append(agreement_row("**all filters**", dropped_by_kiwi(documents), dropped_by(documents, rules)))
    return rows


def part_of(rule: CheckedRule) -> str:
    return next((part for part, names in PARTS.items() if short_name(rule) in names), "quality")


def dropped_by(documents: pl.DataFrame, rules: list[CheckedRule]) -> Bools:
    return judge(documents, rules)["reason"].is_not_null().to_numpy()


def dropped_by_kiwi(documents: pl.DataFrame) -> Bools:
    return documents["reason"].is_not_null().to_numpy()


def agreement_row(name: str, theirs: Bools, ours: Bools) -> str:
    agreement = (theirs == ours).mean()
    chance = theirs.mean() * ours.mean() + (1 - theirs.mean()) * (1 - ours.mean())
    kappa = f"{(agreement - chance) / (1 - chance):.3f}" if chance < 1 else "n/a"
    return f"| {name} | {theirs.sum()} | {ours.sum()} | {agreement:.4f} | {kappa} |"


def source_table(documents: pl.DataFrame, rules: list[CheckedRule]) -> list[str]:
    rows = ["| source | documents | Kiwi drops | Onggi drops | agreement | kappa |", "|---|---:|---:|---:|---:|---:|"]
    for (source,), group in sorted(documents.group_by("source")):
        rows.append(agreement_row(f"{source} | {group.height}", dropped_by_kiwi(group), dropped_by(group, rules)))
    return rows


if __name__ == "__main__":
    main()
