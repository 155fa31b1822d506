"""The token ledger of a mixture after documents were cut out of its sequences."""

import polars as pl
import pyarrow as pa

from manifests.contracts import TOKEN_LEDGER
from manifests.errors import RunError
from manifests.store import to_arrow


def reduced(ledger: pa.Table, cut: pl.DataFrame) -> pa.Table:
    """The ledger without what was cut out: `n_tokens`, `n_spans` and `n_documents` of its rows are less.

    A span was counted in the row of its stage and source whose ids and sequences enclose it. Where several passes
    through a source do, the first one that still counts as much is taken.

    Args:
        ledger: of `contracts.TOKEN_LEDGER`; the files of a mixture together.
        cut: spans, of `spans.CUT`.

    Raises:
        RunError: there is no row in which a span was counted.
    """
    rows = pl.DataFrame(pl.from_arrow(ledger)).with_row_index("row")
    spans = cut.with_row_index("span").join(rows, on=["stage", "source"], suffix="_there")
    is_counted = (
        (pl.col("id") >= pl.col("id_from"))
        & (pl.col("id") <= pl.col("id_to"))
        & pl.col("sequence").is_between("first_sequence", "last_sequence")
    )
    spans = spans.filter(is_counted)
    if spans["span"].n_unique() != cut.height:
        lost = cut.with_row_index("span").join(spans, on="span", how="anti").row(0, named=True)
        raise RunError(f"token ledger: no row counts document {lost['id'].hex()} in sequence {lost['sequence']:,}")
    less = _counted_in(spans, rows).with_columns(pl.col(f"less_{name}").cast(pl.Int64) for name in COUNTS)
    rows = rows.join(less, on="row", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col(name) - pl.col(f"less_{name}").fill_null(0) for name in COUNTS)
    return to_arrow(rows, TOKEN_LEDGER)


COUNTS = ("n_documents", "n_spans", "n_tokens")


def _counted_in(spans: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """How much of each row (`row`, `less_*`) the spans were; a span stands once with every row that may count it."""
    spans = spans.with_columns(n_documents=(pl.col("offset") == 0).cast(pl.Int64), n_spans=pl.lit(1, pl.Int64))
    n_rows = pl.len().over("span")
    sure = spans.filter(n_rows == 1).group_by("row").agg(pl.sum(*COUNTS))
    left = {row: list(counts) for row, *counts in rows.select("row", *COUNTS).iter_rows()}
    less = {row: [0, 0, 0] for row in left}
    for row, *counts in sure.iter_rows():
        less[row] = counts
    unsure = spans.filter(n_rows > 1).sort("sequence", "span", "epoch", "row").group_by("span", maintain_order=True)
    for _, candidates in unsure:
        size = list(candidates.select(COUNTS).row(0))
        fits = (row for row in candidates["row"] if all(map(_holds, left[row], less[row], size)))
        row = next(fits, candidates["row"][0])
        less[row] = [old + more for old, more in zip(less[row], size, strict=True)]
    for row, counts in less.items():
        if not all(map(_holds, left[row], counts, (0, 0, 0))):
            raise RunError("token ledger: a row counts fewer tokens than were cut out of its sequences")
    columns = {"row": list(less), **{f"less_{name}": [less[row][n] for row in less] for n, name in enumerate(COUNTS)}}
    return pl.DataFrame(columns).cast({"row": rows.schema["row"]})


def _holds(there: int, taken: int, more: int) -> bool:
    return taken + more <= there
