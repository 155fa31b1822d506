"""How far the loss from a teacher's k likeliest tokens and one rest is from the loss of its whole distribution.

The teacher is a real model (as `make judge` unpacks SmolLM2-135M-Instruct); students are copies of it that know less,
the first with noise on its matrices, the second without a third of its layers. Texts are of data/text. Per k: the
probability that the stored tokens have; the loss beside that of the whole; how well the gradient by the student's
hidden states agrees; and the largest difference to the online teacher reduced to the same k tokens and a rest.

    python benchmarks/distill_stored.py .venv-judge/smollm2-135m-instruct [--tokens 512] [--write]
"""

import argparse
import copy
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from sample_text import SEED, markdown, publish, texts_of

from training.distilling.divergences import Divergence, divergence_of_logits, fused_divergence
from training.distilling.stored import KINDS, stored_divergence
from training.trainers import load_model, load_tokenizer

NOISE = 0.05
"""Of a matrix's own standard deviation."""
ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ONGGI_SHARED", ROOT.parent / "shared"))
WINDOW = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of a model")
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--tokens", type=int, default=512, help="per language")
    parser.add_argument("--top", type=int, nargs="+", default=[1, 5, 20, 100, 1000])
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    options = parser.parse_args()
    torch.manual_seed(0)
    teacher, tokenizer = load_model(str(options.teacher)).float().eval(), load_tokenizer(str(options.teacher))
    rows = []
    for language in ("en", "ko"):
        ids = windows(tokenizer, options.data, language, options.tokens)
        for name, make in (("noise", noisy), ("fewer layers", shorter)):
            rows += [
                [language, name, *row] for row in compared(teacher, make(copy.deepcopy(teacher)), ids, options.top)
            ]
    text = report(options, len(ids) * WINDOW, teacher.config.vocab_size, rows)
    if options.write:
        publish("distill_stored", text)
    else:
        print(text)


def windows(tokenizer: Any, data: Path, language: str, n_tokens: int) -> torch.Tensor:
    texts = [text for _, text in texts_of(data, language)]
    random.Random(SEED).shuffle(texts)
    ids = [number for text in texts[:200] for number in tokenizer(text)["input_ids"]]
    n_windows = max(1, n_tokens // WINDOW)
    return torch.tensor(ids[: n_windows * WINDOW]).view(n_windows, WINDOW)


def noisy(model: Any) -> Any:
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.ndim == 2:
                weight += NOISE * weight.std() * torch.randn_like(weight)
    return model


def shorter(model: Any) -> Any:
    """Without the middle third of its layers."""
    n = len(model.model.layers)
    del model.model.layers[n // 3 : 2 * n // 3]
    return model


def compared(teacher: Any, student: Any, ids: torch.Tensor, top: list[int]) -> Iterator[list[str]]:
    with torch.no_grad():
        theirs = teacher.model(ids, use_cache=False).last_hidden_state.flatten(0, 1)
        hidden = student.model(ids, use_cache=False).last_hidden_state.flatten(0, 1)
    hidden.requires_grad_()
    matrix = student.lm_head.weight.detach()
    logprobs = (theirs @ teacher.lm_head.weight.detach().T).log_softmax(1).detach()
    for kind in KINDS:
        settings = Divergence(kind)
        whole = with_gradient(
            lambda settings=settings: fused_divergence(hidden, matrix, None, theirs, matrix, None, settings), hidden
        )
        for k in [*top, matrix.shape[0]]:
            values, found = logprobs.topk(k, 1)
            some = with_gradient(
                lambda settings=settings, found=found, values=values: stored_divergence(
                    hidden, matrix, None, found, values, settings
                ),
                hidden,
            )
            yield [
                kind,
                f"{k:,}",
                *numbers(whole, some, reduced(hidden @ matrix.T, logprobs, found, settings), values),
            ]


def with_gradient(loss: Callable[[], torch.Tensor], hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss of each row, gradient of their mean)."""
    rows = loss()
    return rows.detach(), torch.autograd.grad(rows.mean(), hidden)[0]


@torch.no_grad()
def reduced(logits: torch.Tensor, logprobs: torch.Tensor, ids: torch.Tensor, settings: Divergence) -> torch.Tensor:
    """The loss between both distributions, reduced in float64 by summing what is not stored."""
    others = torch.ones_like(logprobs, dtype=torch.bool).scatter_(1, ids, False)
    sides = []
    for values in (logits.double().log_softmax(1), logprobs.double().log_softmax(1)):
        rest = values.masked_fill(~others, -torch.inf).logsumexp(1, keepdim=True)
        sides.append(torch.cat([values.gather(1, ids), rest], 1))
    return divergence_of_logits(sides[0], sides[1], settings)


def numbers(
    whole: tuple[torch.Tensor, torch.Tensor],
    some: tuple[torch.Tensor, torch.Tensor],
    reduced_to: torch.Tensor,
    logprobs: torch.Tensor,
) -> list[str]:
    agreement = torch.nn.functional.cosine_similarity(whole[1].flatten(), some[1].flatten(), dim=0)
    return [
        f"{float(logprobs.exp().sum(1).mean()):.4f}",
        f"{float(whole[0].mean()):.4f}",
        f"{float(some[0].mean()):.4f}",
        f"{float(some[0].mean() / whole[0].mean()):.1%}",
        f"{float(agreement):.4f}",
        f"{float((some[0].double() - reduced_to).mean().abs()):.0e}",
        f"{float((some[0] - reduced_to).abs().max()):.0e}",
    ]


def report(options: argparse.Namespace, n_tokens: int, n_ids: int, rows: list[list[str]]) -> str:
    head = ["text", "student", "loss", "k", "p of top k", "whole", "top k", "share", "gradients' cosine"]
    head += ["off reduced", "a token, at most"]
    return (
        f"# Stored probabilities\n\nTeacher {options.teacher.name} ({n_ids:,} ids) on {n_tokens:,} tokens of "
        f"data/text per language, in float32. Students: the teacher with noise of {NOISE:.0%} of their deviation on "
        f"its matrices, and without the middle third of its layers. Means over tokens, in nats. *Off reduced* is how "
        f"far the loss is from that of the online teacher reduced to the same k tokens and a rest, in float64, and "
        f"beside it the same of the token that is furthest off. Generated by `benchmarks/distill_stored.py`.\n\n"
        f"{markdown(head, rows)}\n"
    )


if __name__ == "__main__":
    main()
