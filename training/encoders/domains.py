"""What each domain has to tell apart, and whether what is held out of it is really new."""

from collections.abc import Sequence

from manifests.errors import RequestError
from training.encoders.texts import Asked, AskedSet
from training.jobs import Cell, Table


def check_domains(trained: Sequence[Asked]) -> None:
    """That each domain has something that an answer can be told apart from: a step is of one domain.

    Raises:
        RequestError: one has a single answer and no negative; names it.
    """
    for domain in names_of(trained):
        rows = [row for row in trained if row.domain == domain]
        if len({row.positive for row in rows}) == 1 and not any(row.negatives for row in rows):
            raise RequestError(
                f"data: domain {domain!r}: all questions have the same answer, and no `negative`; there is nothing "
                "to tell apart, since a step is of one domain"
            )


def names_of(rows: Sequence[Asked]) -> list[str]:
    """Domains in the order in which they come."""
    return list(dict.fromkeys(row.domain for row in rows))


def n_answers_trained(texts: AskedSet, domain: str | None = None) -> tuple[int, int]:
    """Of the different answers that are held out: how many were trained on as answers too, and how many there are."""
    held_out = {row.positive for row in texts.held_out if domain in (None, row.domain)}
    return len(held_out & {row.positive for row in texts.trained}), len(held_out)


def domain_table(texts: AskedSet, batch: int) -> Table:
    """Rows by domain, for the page."""
    rows = [_row(texts, domain) for domain in names_of([*texts.trained, *texts.held_out])]
    columns = ["domain", "questions", "answers", "held-out questions", "held-out answers", "of them also trained on"]
    return Table(title="Questions and answers", columns=columns, rows=rows, note=_note(texts, batch))


def _row(texts: AskedSet, domain: str) -> list[Cell]:
    trained = [row for row in texts.trained if row.domain == domain]
    n_trained_on, n_held_out = n_answers_trained(texts, domain)
    n_questions = sum(row.domain == domain for row in texts.held_out)
    return [domain, len(trained), len({row.positive for row in trained}), n_questions, n_held_out, n_trained_on]


def _note(texts: AskedSet, batch: int) -> str:
    said, (n_trained_on, n_held_out) = list[str](), n_answers_trained(texts)
    if n_trained_on:
        said.append(
            f"{n_trained_on:,} of {n_held_out:,} held-out answers were also trained on, as answers of other "
            "questions; finding them is not new to the model."
        )
    domains = [row.domain for row in texts.trained]
    if few := [
        f"{name} ({domains.count(name):,})" for name in names_of(texts.trained) if domains.count(name) < batch
    ]:
        said.append(
            f"With fewer questions than a step takes ({batch:,}), which stand in it more than once: {', '.join(few)}."
        )
    return " ".join(said)
