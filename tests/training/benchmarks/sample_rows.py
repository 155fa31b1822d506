"""Rows in the columns of the datasets as published, written for these tests."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def mmlu(n: int, subject: str) -> list[Row]:
    return [
        {
            "question": f" What is {at} + 1? ",
            "subject": subject,
            "choices": [f"{at}", f"{at + 1}", "0", "x"],
            "answer": 1,
        }
        for at in range(n)
    ]


def kmmlu(n: int, subject: str) -> list[Row]:
    return [
        {
            "question": f"다음 중 {at}보다 1 큰 수는?\n",
            "answer": at % 4 + 1,
            "A": f"{at}",
            "B": f"{at + 1}",
            "C": "영",
            "D": "없다 ",
            "Category": subject,
            "Human Accuracy": 0.5,
        }
        for at in range(n)
    ]


def haerae(n: int, subject: str) -> list[Row]:
    listed = "\n".join(f"({letter}): {word}" for letter, word in zip("ABCDE", "가나다라마", strict=True))
    return [
        {"query": f"### 질문: 단어 {at}의 뜻은?\n### 선택지:\n{listed}\n### 정답:", "answer": f"({'ABCDE'[at % 5]})"}
        | {"subset": subject}
        for at in range(n)
    ]


def click(ids: Sequence[str]) -> list[Row]:
    return [
        {
            "id": name,
            "paragraph": "" if at % 2 else f"옛날 옛적에 {at}.",
            "question": f"누가 대화했나? {at}",
            "choices": ["첫째", "둘째", "셋째", "넷째", "다섯째"][: 5 if "CSAT" in name else 4],
            "answer": ["첫째", "둘째", "셋째", "넷째"][at % 4],
        }
        for at, name in enumerate(ids)
    ]


def boolq(n: int) -> list[Row]:
    return [{"paragraph": f"물은 {at}도이다.", "question": "물이 얼었나?", "label": at % 2} for at in range(n)]


def copa(n: int) -> list[Row]:
    return [
        {
            "premise": f"비가 {at}번 왔다.",
            "question": ("원인", "결과 ")[at % 2],
            "alternative_1": "구름이 많았다.",
            "alternative_2": "땅이 젖었다.",
            "label": at % 2,
        }
        for at in range(n)
    ]


def wic(n: int) -> list[Row]:
    return [
        {"word": "배", "context_1": f"배를 {at}개 먹었다.", "context_2": "배를 탔다.", "label": at % 2}
        for at in range(n)
    ]


def hellaswag(n: int) -> list[Row]:
    endings = {f"ending_{at}": f"그는 {at}층에 갔다." for at in range(1, 5)}
    return [{"context": f"그는 {at}시에 왔다."} | endings | {"label": at % 4} for at in range(n)]


def sentineg(n: int) -> list[Row]:
    return [{"sentence": f"맛이 {at}배 없어요", "label": at % 2} for at in range(n)]


def belebele(n: int) -> list[Row]:
    answers = {f"mc_answer{at}": f"답 {at}" for at in range(1, 5)}
    return [
        {"flores_passage": f"글 {at}.", "question": " 무엇인가? "} | answers | {"correct_answer_num": str(at % 4 + 1)}
        for at in range(n)
    ]


def mmlu_pro(n: int, category: str) -> list[Row]:
    return [
        {
            "question_id": at,
            "question": f"What is {at} + 1?",
            "options": [f"{at} ", f" {at + 1}", *"23456789", "eleven"],
            "answer": "B",
            "answer_index": 1,
            "cot_content": f"A: Let's think step by step. One more than {at} is {at + 1}. The answer is (B).",
            "category": category,
        }
        for at in range(n)
    ]


def bbh(n: int, subset: str) -> list[Row]:
    return [{"input": f"not ( {at % 2 == 0} ) is", "target": str(at % 2 == 1), "subset": subset} for at in range(n)]


def gsm8k(n: int) -> list[Row]:
    return [
        {"question": f"Tom has {at} apples and buys 1,000.", "answer": f"He has <<{at}+1000>>.\n#### {at + 1000:,}"}
        for at in range(n)
    ]


def hendrycks_math(n: int) -> list[Row]:
    return [
        {
            "problem": f"What is $\\frac{{{at}}}{{2}}$?",
            "level": "Level 1",
            "type": "Algebra",
            "solution": f"It is $\\boxed{{\\frac{{{at}}}{{2}}}}$.",
        }
        for at in range(n)
    ]
