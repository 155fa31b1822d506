"""What was found of each benchmark, of a part of a corpus."""

import polars as pl

from curation.summary_models import N_HITS, BenchmarkSummary, Hit


def summarize_hits(judged: pl.DataFrame) -> tuple[BenchmarkSummary, ...]:
    """The benchmarks that have hits, by name.

    Args:
        judged: one row per record, with `hits` as `decontaminate.judge_hits` leaves them where any were looked for.
    """
    if "hits" not in judged.columns:
        return ()
    columns = ["id", "copy", "source", "language", "verdict", "stage", "hits"]
    rows = judged.filter(pl.col("hits").is_not_null()).select(columns).explode("hits").unnest("hits")
    is_counted = (pl.col("stage") == "decontaminate").fill_null(False) | (pl.col("verdict") == "kept")
    rows = rows.with_columns(is_counted=is_counted)
    return tuple(
        _summary(str(name), mine) for (name,), mine in sorted(rows.group_by("benchmark"), key=lambda pair: pair[0])
    )


def _summary(benchmark: str, rows: pl.DataFrame) -> BenchmarkSummary:
    counted, others = rows.filter("is_counted"), rows.filter(~pl.col("is_counted"))
    shown = counted.sort("score", "id", "copy", "item").head(N_HITS)
    return BenchmarkSummary(
        benchmark=benchmark,
        n_docs=counted.select("id", "copy").n_unique() if counted.height else 0,
        n_other_docs=others.select("id", "copy").n_unique() if others.height else 0,
        n_hits=counted.height,
        hits=tuple(
            Hit(
                id=row["id"],
                copy_number=row["copy"],
                source=row["source"],
                language=row["language"],
                item=row["item"],
                score=row["score"],
                found=row["found"],
                wanted=row["wanted"],
            )
            for row in shown.to_dicts()
        ),
    )
