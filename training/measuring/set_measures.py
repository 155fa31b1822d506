"""What a model comes to on a set: its loss on text or on held-out sequences, or how many questions it gets right."""

from collections.abc import Callable
from math import isfinite, log
from typing import Any

from manifests.schema_training_gates import Validation
from training.measuring.choice_prompts import continuations_of, credit, prompt_of
from training.measuring.log_likelihood import Row, log_likelihoods
from training.measuring.mixture_ids import why_other_ids
from training.measuring.open_model import OpenModel
from training.measuring.uncertainty import ratio_error, wilson
from training.measuring.validation_sets import documents_of, held_out_of, questions_of

Found = dict[str, Any]
"""`figures` by name and `units`, the value of each document or question; or `why` there are none."""
Told = Callable[[int, int], None]
"""Is told how many tokens are done, of how many."""


def measure_set(model: OpenModel, settings: Validation, base: str, told: Told) -> Found:
    """Figures of a set, and the value of each document or question; or why there are none."""
    if settings.choices is not None:
        return choice_measures(model, settings, base, told)
    if settings.text is not None:
        return text_measures(model, settings, base, told)
    return mixture_measures(model, settings, base, told)


def text_measures(model: OpenModel, settings: Validation, base: str, told: Told) -> Found:
    """Loss over all tokens of documents, in nats per token and in bits per byte of UTF-8.

    A document begins with the model's prefix. A longer one than the window is cut into windows that do not overlap
    but for a token that the next one is foretold from, as the harness's rolling log-likelihood: no token is lost, and
    none counts twice.
    """
    documents = documents_of(settings, base)
    window, prefix = model.window(settings.window), model.prefix
    pieces = [windows([*prefix, *model.ids(text)], window) for text in documents.texts]
    losses = _losses(model, pieces, told)
    counted = [sum(row.n_counted for row in rows) for rows in pieces]
    figures = _loss_figures(losses, counted) | {"window": window, "n_left_out": documents.n_blank}
    n_bytes = sum(len(text.encode()) for text in documents.texts)
    figures |= {"n_bytes": n_bytes, "bits_per_byte": sum(losses) / log(2) / n_bytes}
    return {"figures": figures, "units": losses}


def mixture_measures(model: OpenModel, settings: Validation, base: str, told: Told) -> Found:
    """Loss over the held-out sequences of a mixture, in nats per token; documents do not see each other.

    Each document of a sequence is a row of its own, so none can. Its first token in the sequence is foretold from
    nothing and does not count.
    """
    held_out = held_out_of(settings, base)
    ids = {number for sequence in held_out.sequences for stretch in sequence for number in stretch}
    if why := why_other_ids(model.folder, model.tokenizer, held_out.record, ids):
        return {"why": f"{settings.mixture}: {why}"}
    window = model.window(settings.window)
    pieces = [[row for ids in sequence for row in windows(ids, window)] for sequence in held_out.sequences]
    losses = _losses(model, pieces, told)
    counted = [sum(row.n_counted for row in rows) for rows in pieces]
    return {"figures": _loss_figures(losses, counted) | {"window": window}, "units": losses}


def windows(ids: list[int], window: int) -> list[Row]:
    """Ids in rows of at most `window` inputs; each id but the first is counted in exactly one of them."""
    pieces = [tuple(ids[start : start + window + 1]) for start in range(0, max(len(ids) - 1, 0), window)]
    return [Row(piece, len(piece) - 1) for piece in pieces]


def _losses(model: OpenModel, pieces: list[list[Row]], told: Told) -> list[float]:
    """Negative log-likelihood of each document: the sum over its rows, in nats."""
    rows = [row for of_document in pieces for row in of_document]
    found = iter(_scored(model, rows, told))
    return [-sum(next(found) for _ in of_document) for of_document in pieces]


def _scored(model: OpenModel, rows: list[Row], told: Told) -> list[float]:
    total = sum(len(row.ids) - 1 for row in rows)
    return log_likelihoods(model.model, rows, told=lambda done: told(done, total))


def _loss_figures(losses: list[float], counted: list[int]) -> dict[str, float]:
    n_tokens = sum(counted)
    return {
        "loss": sum(losses) / n_tokens if n_tokens else float("nan"),
        "loss_se": ratio_error(losses, counted),
        "n_tokens": n_tokens,
        "n_documents": len(losses),
    }


def choice_measures(model: OpenModel, settings: Validation, base: str, told: Told) -> Found:
    """Share of questions whose right choice is the likeliest, with Wilson's interval at 95%.

    See `training.measuring.choice_prompts` for what is compared. A question longer than the context loses its
    beginning.
    """
    questions = questions_of(settings, base)
    texts = [continuations_of(question, settings.form) for question in questions]
    prompts = [prompt_of(question, settings.form, settings.cue) for question in questions]
    rows = [row for prompt, of in zip(prompts, texts, strict=True) for row in _choice_rows(model, prompt, of)]
    found = iter(_scored(model, rows, told))
    scores = [[next(found) for _ in of] for of in texts]
    if not all(isfinite(value) for of in scores for value in of):
        return {"figures": {"accuracy": float("nan")}, "units": []}
    credits = [
        credit(of, [len(text) for text in written], question.right)
        for of, written, question in zip(scores, texts, questions, strict=True)
    ]
    low, high = wilson(sum(credits), len(credits))
    figures = {"accuracy": sum(credits) / len(credits), "accuracy_low": low, "accuracy_high": high}
    chance = sum(1 / len(question.choices) for question in questions) / len(questions)
    return {"figures": figures | {"chance": chance, "n_questions": len(questions)}, "units": credits}


def _choice_rows(model: OpenModel, prompt: str, continuations: list[str]) -> list[Row]:
    """A prompt with each of its continuations, which are counted from where their ids part from the prompt's."""
    window, context, rows = model.window(), [*model.prefix, *model.ids(prompt)], list[Row]()
    for text in continuations:
        whole = [*model.prefix, *model.ids(f"{prompt} {text}")]
        pairs = enumerate(zip(context, whole, strict=False))
        n_shared = next((place for place, (one, other) in pairs if one != other), min(len(context), len(whole) - 1))
        rows.append(Row(tuple(whole[-(window + 1) :]), min(len(whole) - max(n_shared, 1), window)))
    return rows
