"""How well final answers are verified: on worked answers, and on responses of which it is known what they are.

Responses are made of real questions with their gold answers (GSM8K and Korean word problems, `seeds` of the shared
data): right in a usual form, right in an unusual one, wrong (with the gold answer in the reasoning), of a form that
nobody could decide, and cut off. Math-Verify alone is run on the same responses.

    python benchmarks/verify.py --data ../shared/data --write
"""

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import orjson
import zstandard

from synth.final_answers.expected import Expected
from synth.final_answers.numerals import number
from synth.verify import Case, asks_for_percent, verify_all
from tests.synth.final_answers.test_numerals import NATIVE_BEFORE_COUNTERS, in_english, in_mixed, in_native, in_sino

RESULT = Path(__file__).parent / "results" / "verify.md"
CLASSES = {"usual": "right", "unusual": "right", "wrong": "wrong", "form": "form", "cut": "cut"}
"""Each class of responses, and what is to be said of it."""


@dataclass(frozen=True)
class Question:
    """A question with its gold answer."""

    language: str
    text: str
    worked: str
    gold: str
    unit: str

    @property
    def value(self) -> Fraction:
        """Of the gold answer."""
        found = number(self.gold)
        assert found is not None
        return found


def read(path: Path, language: str) -> list[Question]:
    lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    rows = [orjson.loads(line) for line in lines]
    golds = [row.get("answer") or row["output"].rsplit("####", 1)[1].strip() for row in rows]
    return [
        Question(
            language, row["instruction"], row["output"], gold, "%" if asks_for_percent(row["instruction"]) else ""
        )
        for row, gold in zip(rows, golds, strict=True)
    ]


def plain(value: Fraction) -> str:
    """2, or 0.75; a fraction where it has no end."""
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{float(value):.10f}".rstrip("0")
    return text if Fraction(text) == value else f"{value.numerator}/{value.denominator}"


Form = Callable[[Fraction], str]
USUAL: dict[str, list[Form]] = {
    "en": [
        lambda v: f"The answer is {plain(v)}.",
        lambda v: f"Therefore, the answer is: {plain(v)}",
        lambda v: f"#### {plain(v)}",
        lambda v: f"So it is $\\boxed{{{plain(v)}}}$.",
        lambda v: f"**Final Answer:** {plain(v)}",
    ],
    "ko": [
        lambda v: f"따라서, 정답은: {plain(v)}",
        lambda v: f"정답: {plain(v)}",
        lambda v: f"답은 {plain(v)}입니다.",
        lambda v: f"따라서 답은 $\\boxed{{{plain(v)}}}$입니다.",
        lambda v: f"**정답:** {plain(v)}",
    ],
}


def unusual(language: str, v: Fraction) -> list[str]:
    """The forms that fit a value."""
    fraction = f"{v.numerator}/{v.denominator}"
    is_whole, whole = v.denominator == 1 and v >= 0, int(v)
    if language == "en":
        some = [rf"\boxed{{\frac{{{2 * v.numerator}}}{{{2 * v.denominator}}}}}", f"### Final Answer\n\n{plain(v)}"]
        some += [
            f"{plain(v)} is the correct answer.",
            rf"\[ \boxed{{\text{{{plain(v)}}}}} \]",
            f"The answer is x = {plain(v)}.",
        ]
        some += [f"The answer is {in_english(whole)}.", f"The answer is {whole:,}.00."] if is_whole else []
        some += [rf"\boxed{{{whole:,}}}".replace(",", "{,}")] if is_whole and whole > 999 else []
        some += [rf"The answer is $\sqrt{{{whole**2}}}$."] if is_whole and whole < 1000 else []
        return some if is_whole else [*some, f"The answer is {fraction}."]
    some = [
        f"{plain(v)}이 정답입니다.",
        f"## 정답\n\n{plain(v)}",
        f"\\boxed{{{plain(v)}}}이 됩니다.",
        f"해답은 x = {plain(v)}이다.",
    ]
    some += [f"정답은 {in_sino(whole)}입니다.", f"정답은 총 {whole:,}입니다."] if is_whole else []
    some += [f"정답은 {in_native(whole, NATIVE_BEFORE_COUNTERS)} 개예요."] if is_whole and 0 < whole < 100 else []
    some += [f"정답은 {in_mixed(whole, ' ', True)}입니다."] if is_whole and whole > 9999 else []
    return some if is_whole else [*some, f"정답은 {v.denominator}분의 {v.numerator}입니다."]


def wrong_value(v: Fraction, draw: random.Random) -> Fraction:
    """Another value, of those that are easily taken for it."""
    digits = str(abs(v.numerator))[::-1]
    others = {
        v + 1,
        v - 1,
        v * 10,
        v / 10,
        -v,
        v * 2,
        v / 2,
        v * 60,
        v * 1000,
        Fraction(int(digits), v.denominator),
        1 / v if v else v,
    }
    return draw.choice(sorted(others - {v}))


def undecided(language: str, v: Fraction, other: Fraction) -> list[str]:
    a, b = plain(v), plain(other)
    if language == "en":
        return [
            f"The answer is {a} or {b}.",
            f"\\boxed{{{a}}} and \\boxed{{{b}}}",
            f"The answer is {a}. Wait, actually it is {b}.",
            f"The result of all this is then {a}.\nThat is how such a question is solved.",
            f"The answer is more than {a}.",
            f"The answer is not {a}.",
        ]
    return [
        f"정답은 {a} 또는 {b}입니다.",
        f"\\boxed{{{a}}} 그리고 \\boxed{{{b}}}",
        f"정답은 {a}입니다. 아니, 다시 계산하면 {b}입니다.",
        f"이렇게 하면 결과는 {a}입니다.\n문제를 이렇게 풀면 됩니다.",
        f"정답은 {a} 이상입니다.",
        f"정답은 {a}{'이' if a[-1] in '013678' else '가'} 아닙니다.",
    ]


def reasoning(question: Question, draw: random.Random) -> str:
    """The worked answer without its last line; a Korean one is made up: theirs are a model's, and often wrong."""
    if question.language == "en":
        return re.sub(r"<<[^>]*>>", "", question.worked).rsplit("####", 1)[0]
    a, b = draw.randint(2, 99), draw.randint(2, 99)
    steps = f"먼저 {a} + {b} = {a + b}이고, 이어서 {question.gold}도 구합니다."
    return f"문제를 정리해 보겠습니다.\n{question.text}\n{steps}\n"


def response(name: str, question: Question, draw: random.Random) -> str:
    v, language = question.value, question.language
    usual = draw.choice(USUAL[language])
    if name == "wrong":
        other = wrong_value(v, draw)
        end = draw.choice([usual(other), draw.choice(unusual(language, other))])
    elif name == "cut":
        end = draw.choice(["So the answer is \\boxed{" + plain(v), "따라서, 정답은:", "Therefore, the answer is"])
    else:
        forms = {
            "usual": [usual(v)],
            "unusual": unusual(language, v),
            "form": undecided(language, v, wrong_value(v, draw)),
        }
        end = draw.choice(forms[name])
    return reasoning(question, draw) + end


def cases(questions: list[Question], draw: random.Random) -> Iterator[tuple[str, str, Case]]:
    """(language, class, case): one of each class for each question."""
    for question in questions:
        expected = Expected("math", question.gold, unit=question.unit)
        for name in CLASSES:
            yield question.language, name, Case(response(name, question, draw), expected)


def alone(case: Case) -> bool:
    """What Math-Verify says of the whole response."""
    from math_verify import parse, verify

    return bool(
        verify(
            parse(case.expected.gold, parsing_timeout=None),
            parse(case.response, parsing_timeout=None),
            timeout_seconds=None,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--per-language", type=int, default=500)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="print so many that are not as they should be")
    args = parser.parse_args()
    draw = random.Random(0)
    gsm8k = read(args.data / "seeds" / "gsm8k_train.jsonl.zst", "en")
    korean = [
        one
        for name in ("mwp", "multiarith", "single_eq")
        for one in read(args.data / "seeds" / f"kor_{name}_train.jsonl.zst", "ko")
    ]
    lines = ["# Verification of final answers", "", "Written by `benchmarks/verify.py`.", ""]
    lines += worked(gsm8k)
    some = [one for every in (gsm8k, korean) for one in draw.sample(every, min(args.per_language, len(every)))]
    lines += [
        "Responses made of real questions, one of each class for each question. Who made them made the verifier too:",
        "recall says that forms of `tests/synth/answer_forms.tsv` work at all values, not that there are no others.",
        "",
    ]
    lines += made(list(cases(some, draw)), args.show)
    lines += speed(some)
    print("\n".join(lines))
    if args.write:
        RESULT.write_text("\n".join(lines) + "\n", "utf-8")


def worked(questions: list[Question]) -> list[str]:
    """The gold answer is found in each worked answer, and another than it is wrong."""
    draw = random.Random(1)
    right = [Case(one.worked, Expected("math", one.gold)) for one in questions]
    wrong = [Case(one.worked, Expected("math", plain(wrong_value(one.value, draw)))) for one in questions]
    found = [Counter(verdict.outcome for verdict in verify_all(some)) for some in (right, wrong)]
    return [
        f"Of {len(questions):,} worked answers of GSM8K (`#### X`) {found[0]['right']:,} are right for their gold",
        f"answer, and {found[1]['right']:,} for another ({found[1]['wrong']:,} wrong, {found[1]['form']:,} form).",
        "",
    ]


def made(known: list[tuple[str, str, Case]], n_shown: int) -> list[str]:
    verdicts = list(verify_all(case for _, _, case in known))
    lines = [
        "| language | responses | n | right | wrong | form | cut | Math-Verify alone: right |",
        "|---|---|---|---|---|---|---|---|",
    ]
    by_alone = [alone(case) for _, _, case in known]
    for language in ("en", "ko"):
        for name in CLASSES:
            at = [i for i, (one, other, _) in enumerate(known) if (one, other) == (language, name)]
            counted = Counter(verdicts[i].outcome for i in at)
            shown = " | ".join(f"{counted[outcome]:,}" for outcome in ("right", "wrong", "form", "cut"))
            lines.append(f"| {language} | {name} | {len(at):,} | {shown} | {sum(by_alone[i] for i in at):,} |")
    lines += ["", *rates(known, [verdict.outcome == "right" for verdict in verdicts], by_alone), ""]
    for (_, name, case), verdict in zip(known, verdicts, strict=True):
        if verdict.outcome != CLASSES[name] and n_shown:
            n_shown -= 1
            print(f"{name}: gold {case.expected.gold} {case.expected.unit}: ...{case.response[-70:]!r}: {verdict}")
    return lines


def rates(known: list[tuple[str, str, Case]], ours: list[bool], by_alone: list[bool]) -> list[str]:
    lines = [
        "| | precision | precision, `right` and `wrong` only | recall, usual forms | recall, unusual forms |",
        "|---|---|---|---|---|",
    ]
    for title, kept in (("Onggi", ours), ("Math-Verify alone", by_alone)):
        is_right = [CLASSES[name] == "right" for _, name, _ in known]
        n_right = sum(a and b for a, b in zip(kept, is_right, strict=True))
        n_wrong = sum(one and name == "wrong" for one, (_, name, _) in zip(kept, known, strict=True))
        recalls = []
        for wanted in ("usual", "unusual"):
            those = [one for one, (_, name, _) in zip(kept, known, strict=True) if name == wanted]
            recalls.append(f"{sum(those) / len(those):.4f}")
        precisions = f"{n_right / sum(kept):.4f} | {n_right / (n_right + n_wrong):.4f}"
        lines.append(f"| {title} | {precisions} | {recalls[0]} | {recalls[1]} |")
    return lines


def speed(questions: list[Question]) -> list[str]:
    draw = random.Random(2)
    numbers = [Case(response("usual", one, draw), Expected("math", one.gold)) for one in questions]
    formulas = [Case(f"\\boxed{{{i}\\sqrt{{3}}}}", Expected("math", f"{i}\\sqrt{{3}}")) for i in range(200)]
    measured = []
    for some in (numbers, formulas):
        started = time.perf_counter()
        outcomes = Counter(verdict.outcome for verdict in verify_all(some))
        assert outcomes["right"] >= 0.98 * len(some), outcomes
        measured.append(len(some) / (time.perf_counter() - started))
    return [
        f"{measured[0]:,.0f} verifications a second of plain numbers in one process; {measured[1]:,.0f} of formulas, "
        "by one process with limits (its start included)."
    ]


if __name__ == "__main__":
    main()
