"""What the teacher of `tests.synth.fixture_teacher` says in Korean and English, in many ways."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.synth.final_answers.test_numerals import NATIVE_ONES, in_english, in_mixed, in_native, in_sino

Written = Callable[[str], str | None]
"""A number in an unusual form; None where it has none."""


@dataclass(frozen=True)
class Words:
    """Of one language. `{n}` is the answer, `{m}` another number, `{x}` a piece of the question."""

    openers: Sequence[str]
    steps: Sequence[str]
    asides: Sequence[str]
    endings: Sequence[str]
    """Ordinary ones."""
    said: Sequence[str]
    """Around a number in an unusual form."""
    unusual: Sequence[Written]
    tempting: Sequence[str]
    """Endings that answer {m}, and hold {n} as well."""
    unreadable: Sequence[str]
    """Endings that hold the right number and do not answer with it, and only with it."""
    copied: Sequence[str]
    """What a copy of another trace begins with."""
    benchmark: str
    """Around an item of a benchmark."""


def _whole(write: Callable[[int], str], most: int = 10**9) -> Written:
    def written(text: str) -> str | None:
        value = Fraction(text.replace(",", ""))
        return write(int(value)) if value.denominator == 1 and 0 < value < most else None

    return written


def _decimal(text: str) -> str | None:
    return text if "." in text else f"{text}.00"


def _roman(value: int) -> str:
    signs = [(100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    found = ""
    for worth, sign in signs:
        found += sign * (value // worth)
        value %= worth
    return found


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
UNUSUAL: list[Written] = [
    _decimal,
    lambda text: text.translate(FULL_WIDTH),
    lambda text: f"$\\text{{{text}}}$",
    lambda text: f"${text}$",
    lambda text: f"**`{text}`**",
    _whole(lambda value: f"{value:,}"),
    _whole(lambda value: f"\\frac{{{2 * value}}}{{2}}"),
    _whole(lambda value: f"{3 * value}/3"),
    _whole(lambda value: f"{value} \\times 10^0"),
    _whole(lambda value: f"{value / 1000:g}e3", 10**6),
    _whole(_roman, 300),
    _whole(lambda value: f"0x{value:x}"),
    _whole(lambda value: f"{value - 1} + 1"),
]

ENGLISH = Words(
    openers=[
        "Let me take this one piece at a time.",
        "I will go through what the problem tells us, in order.",
        "We start from what is given.",
        "Here is how I would work it out.",
        "First, the facts.",
        "There are a few quantities here, so let us keep them apart.",
        "Reading the problem closely helps.",
        "Breaking it down makes it manageable.",
    ],
    steps=[
        "It says: {x}.",
        'From "{x}" we get one quantity.',
        "Next comes {x}, and that has to be used as well.",
        "The part about {x} matters for the total.",
        "With {x} in mind we can set up the calculation.",
        "Note {x}.",
        "Then there is {x}, which changes the count.",
        "We are told {x}, so we carry that over.",
    ],
    asides=[
        "Each of these goes into the same sum.",
        "Nothing else is needed from the text.",
        "I checked the units, and they agree.",
        "Putting the pieces together gives the result.",
        "The arithmetic is short once this is clear.",
        "That leaves a single calculation.",
        "Working through it carefully gives one number.",
        "The rest follows by adding and subtracting.",
    ],
    endings=[
        "\\boxed{{{n}}}",
        "So the result is $\\boxed{{{n}}}$.",
        "The answer is {n}.",
        "Therefore, the answer is: {n}",
        "#### {n}",
        "**Final Answer:** {n}",
        "The final answer is ${n}$.",
        "Answer: {n}",
        "### Final Answer\n\n{n}",
        "{n} is the correct answer.",
        "\\[ \\boxed{{{n}}} \\]",
        "The final answer is \\boxed{{{n}}}.\n\nThat is what was asked for.",
        "<answer>{n}</answer>",
    ],
    said=["The answer is {n}.", "\\boxed{{{n}}}", "Final answer: {n}", "Therefore, the answer is: {n}"],
    unusual=[*UNUSUAL, _whole(in_english, 10**6), _whole(lambda value: in_english(value, "-"), 100)],
    tempting=[
        "It is tempting to say {n}, but the answer is {m}.",
        "The answer is not {n} but {m}.",
        "Some find {n}. That counts one thing twice, so \\boxed{{{m}}}.",
        "The answer is {m}, not {n}.",
        "<think>The answer is {n}.</think>The answer is {m}.",
        "The answer is {n}. Wait, I made a mistake. The answer is {m}.",
        "#### {m}\n(of {n})",
    ],
    unreadable=[
        "The answer is {n} or {m}, depending on how one reads it.",
        "The answer is between {m} and {n}.",
        "The answer is {n}.\n\nWait, that cannot be right, I forgot something.",
        "One finds {n} in the end. I hope that this helps. Ask me if anything is unclear.",
        "\\boxed{{{n}}} \\boxed{{{m}}}",
        "Answer: {m}\n\nAnswer: {n}",
    ],
    copied=["Shall we?", "Here goes.", "Well then."],
    benchmark="A problem of the same kind reads so.\n\n{x}\n\nIt is solved in the same way, but ours is another.",
)

KOREAN = Words(
    openers=[
        "주어진 조건부터 하나씩 정리해 보겠습니다.",
        "문제를 차근차근 풀어 봅시다.",
        "먼저 무엇을 구해야 하는지 살펴보겠습니다.",
        "순서대로 계산해 보면 됩니다.",
        "조건을 식으로 옮겨 봅시다.",
        "글에 나온 수를 먼저 적어 둡니다.",
        "풀이는 어렵지 않습니다.",
        "한 단계씩 나누어 생각합니다.",
    ],
    steps=[
        "문제에 {x}라고 나와 있습니다.",
        "'{x}' 부분에서 식을 하나 얻습니다.",
        "그다음 {x}라는 조건을 씁니다.",
        "{x}라는 말에 주목합니다.",
        "여기서 {x}도 빠뜨리지 않고 넣습니다.",
        "이어서 {x}를 계산에 반영합니다.",
        "{x}라고 했으므로 그대로 옮깁니다.",
        "또 {x}라는 점을 생각합니다.",
    ],
    asides=[
        "이 값들을 한 식에 모읍니다.",
        "그 밖의 내용은 계산에 필요하지 않습니다.",
        "단위는 모두 같으므로 따로 바꾸지 않습니다.",
        "이제 계산만 하면 됩니다.",
        "차례로 계산하면 값이 하나로 정해집니다.",
        "식을 정리하면 간단해집니다.",
        "검산해 보아도 같은 값이 나옵니다.",
        "남은 것은 덧셈과 뺄셈뿐입니다.",
    ],
    endings=[
        "따라서, 정답은: {n}",
        "따라서, 정답은: \\boxed{{{n}}}",
        "따라서 정답은 {n}입니다.",
        "정답: {n}",
        "답은 {n}입니다.",
        "**정답: {n}**",
        "최종 정답은 {n}입니다.",
        "#### {n}",
        "그러므로 답은 $\\boxed{{{n}}}$입니다.",
        "### 정답\n\n{n}",
        "\\boxed{{{n}}}",
        "답: {n}",
        "따라서, 정답은: {n}\n\n문제에서 구하라고 한 값입니다.",
    ],
    said=["따라서, 정답은: {n}", "\\boxed{{{n}}}", "정답: {n}", "답은 {n}입니다."],
    unusual=[
        *UNUSUAL,
        _whole(in_sino, 10**8),
        _whole(lambda value: in_sino(value, " ", True), 10**8),
        _whole(lambda value: in_native(value, NATIVE_ONES), 100),
        _whole(lambda value: in_mixed(value, " ", True)),
        _whole(lambda value: f"{value}개"),
    ],
    tempting=[
        "{n}이라고 생각하기 쉽지만, 정답은 {m}입니다.",
        "정답은 {n}이 아니라 {m}입니다.",
        "{n}에서 하나를 두 번 세었으므로 \\boxed{{{m}}}입니다.",
        "따라서, 정답은: {m} ({n}은 중간 값입니다)",
        "<think>정답은 {n}입니다.</think>정답은 {m}입니다.",
        "정답은 {n}입니다. 잠깐, 실수했습니다. 정답은 {m}입니다.",
        "#### {m}\n({n} 중에서)",
    ],
    unreadable=[
        "정답은 {n} 또는 {m}입니다.",
        "정답은 {m}에서 {n} 사이입니다.",
        "정답은 {n}입니다.\n\n잠깐, 다시 계산해 보겠습니다.",
        "끝까지 계산하면 {n}이라는 값을 얻습니다. 도움이 되었기를 바랍니다. 궁금한 점이 있으면 물어보세요.",
        "\\boxed{{{n}}} \\boxed{{{m}}}",
        "정답: {m}\n\n정답: {n}",
    ],
    copied=["그럼 시작합니다.", "자, 볼까요?", "함께 해 봅시다."],
    benchmark="같은 종류의 문제로 다음과 같은 것이 있습니다.\n\n{x}\n\n푸는 방법은 같지만 여기서 묻는 것은 다릅니다.",
)

CHINESE = (
    "首先整理题目给出的数据：{x}。然后逐步计算，把各项加起来，再减去已经用掉的部分。经过检查，单位一致，结果没有问题。"
    "\n\n\\boxed{{{n}}}"
)

WORDS = {"en": ENGLISH, "ko": KOREAN}
