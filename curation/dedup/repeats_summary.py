"""What repeated lines and stretches took from the kept documents of a part of a corpus."""

import polars as pl

from curation.summary_models import N_PIECES, SNIPPET_CHARS, RemovedPiece, RemovedSummary


def summarize_removed(judged: pl.DataFrame) -> tuple[RemovedSummary, ...]:
    """What each rule took, by its name.

    Args:
        judged: one row per record, with `removed` as `repeats.remove` leaves it where anything was looked for.
    """
    if "removed" not in judged.columns:
        return ()
    rows = judged.filter(pl.col("removed").is_not_null()).select("id", "copy", "removed").explode("removed")
    rows = rows.unnest("removed").with_columns(n_chars=pl.col("text").str.len_chars())
    return tuple(
        _summary(str(name), mine) for (name,), mine in sorted(rows.group_by("rule"), key=lambda pair: pair[0])
    )


def _summary(rule: str, rows: pl.DataFrame) -> RemovedSummary:
    pieces = rows.group_by("text").agg(n_places=pl.len(), n_chars=pl.col("n_chars").sum())
    top = pieces.sort(pl.col("n_chars"), "text", descending=[True, False]).head(N_PIECES)
    return RemovedSummary(
        rule=rule,
        n_docs=rows.select("id", "copy").n_unique(),
        n_places=rows.height,
        n_chars=int(rows["n_chars"].sum()),
        pieces=tuple(
            RemovedPiece(text=text[:SNIPPET_CHARS], length=len(text), n_places=n_places, n_chars=n_chars)
            for text, n_places, n_chars in top.iter_rows()
        ),
    )
