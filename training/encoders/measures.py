"""What an encoder finds: answers among those that were held out, and in sets that the manifest names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from training.encoders.encoder import Encoder
from training.encoders.retrieval import Found, K, search
from training.encoders.retrieval_sets import RetrievalSet
from training.encoders.texts import Asked
from training.jobs import Cell, Table

NOTE = (
    "Before is the model that the stage went on from, pooled as the stage pools, with its own attention: a language "
    "model's sees backwards only. nDCG@10 and recall@10 are means over questions."
)


@dataclass(frozen=True)
class Searched:
    """What was found."""

    held_out: Found | None = None
    domains: Mapping[str, Found] = field(default_factory=dict)
    """The same by domain, if there are several."""
    n_answers: int = 0
    """Texts among which held-out answers were looked for."""
    sets: Mapping[str, Found] = field(default_factory=dict)
    n_texts: Mapping[str, int] = field(default_factory=dict)
    n_empty: Mapping[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """`ndcg` and `recall` of what was held out, and of each set with its name behind."""
        found = {} if self.held_out is None else _means(self.held_out, "")
        for name, one in self.sets.items():
            found |= _means(one, f"_{name}")
        return found


def _means(found: Found, name: str) -> dict[str, float]:
    return {f"ndcg{name}": fmean(found.ndcg), f"recall{name}": fmean(found.recall)}


Told = Callable[[int], None]


def n_to_encode(held_out: Sequence[Asked], sets: Sequence[RetrievalSet]) -> int:
    """Texts that `searched` makes vectors of."""
    answers = {asked.positive for asked in held_out}
    return len(held_out) + len(answers) + sum(len(one.queries) + len(one.corpus) for one in sets)


def searched(
    encoder: Encoder, held_out: Sequence[Asked], sets: Sequence[RetrievalSet], told: Told = lambda _: None
) -> Searched:
    """Let an encoder look for answers.

    Args:
        encoder: that is measured.
        held_out: questions that were not trained on; all their answers are what is looked among.
        sets: of the manifest.
        told: is called after some texts, with how many they were.
    """
    found = {one.name: _in_set(encoder, one, told) for one in sets}
    domains, all_of, n_answers = dict[str, Found](), None, 0
    if held_out:
        answers = list(dict.fromkeys(asked.positive for asked in held_out))
        all_of, n_answers = _among(encoder, held_out, answers, told), len(answers)
        for domain in dict.fromkeys(asked.domain for asked in held_out):
            domains[domain] = all_of[[row for row, asked in enumerate(held_out) if asked.domain == domain]]
    n_texts = {one.name: len(one.corpus) for one in sets}
    return Searched(all_of, domains, n_answers, found, n_texts, {one.name: one.n_empty for one in sets})


def _among(encoder: Encoder, held_out: Sequence[Asked], answers: Sequence[str], told: Told) -> Found:
    """Each question's answers, also those that it has in other rows."""
    place = {answer: number for number, answer in enumerate(answers)}
    answered = dict[str, dict[int, float]]()
    for asked in held_out:
        answered.setdefault(asked.query, {})[place[asked.positive]] = 1.0
    instructed = dict[str, list[int]]()
    for row, asked in enumerate(held_out):
        instructed.setdefault(asked.instruction, []).append(row)
    corpus = encoder.encode(answers, told=told)
    ndcg, recall = [0.0] * len(held_out), [0.0] * len(held_out)
    for instruction, rows in instructed.items():
        queries = encoder.encode([held_out[row].query for row in rows], instruction, told)
        found = search(queries, corpus, [answered[held_out[row].query] for row in rows])
        for row, one_ndcg, one_recall in zip(rows, found.ndcg, found.recall, strict=True):
            ndcg[row], recall[row] = float(one_ndcg), float(one_recall)
    return Found.of(ndcg, recall)


def _in_set(encoder: Encoder, of: RetrievalSet, told: Told) -> Found:
    queries, corpus = encoder.encode(of.queries, of.instruction, told), encoder.encode(of.corpus, told=told)
    return search(queries, corpus, of.relevance, own=of.own)


# For the page


def tables_of(before: Searched, after: Searched) -> list[Table]:
    """Before and after, of what was held out and of each set."""
    tables = []
    columns = ["", "questions", "texts", *(f"{name}@{K} {when}" for name in ("nDCG", "recall") for when in WHEN)]
    if before.held_out is not None and after.held_out is not None:
        names = list(after.domains) if len(after.domains) > 1 else []
        rows = [_row(name, after.n_answers, before.domains[name], after.domains[name]) for name in names]
        rows.append(
            _row("all" if names else next(iter(after.domains)), after.n_answers, before.held_out, after.held_out)
        )
        tables.append(Table(title="Held-out questions", columns=["domain", *columns[1:]], rows=rows, note=NOTE))
    if after.sets:
        rows = [_row(name, after.n_texts[name], before.sets[name], found) for name, found in after.sets.items()]
        empty = ", ".join(f"{name} {n:,}" for name, n in after.n_empty.items() if n)
        note = f"{NOTE} Empty texts, which are never found: {empty}." if empty else NOTE
        tables.append(Table(title="Retrieval", columns=["set", *columns[1:]], rows=rows, note=note))
    return tables


WHEN = ("before", "after")


def _row(name: str, n_texts: int, before: Found, after: Found) -> list[Cell]:
    means = [fmean(getattr(one, what)) for what in ("ndcg", "recall") for one in (before, after)]
    return [name, len(after.ndcg), n_texts, *(round(value, 4) for value in means)]
