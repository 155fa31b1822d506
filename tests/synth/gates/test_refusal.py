"""The gate `refusal`: what gives an answer away, and texts that speak of such things."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest

from manifests.schema_synthesis import RefusalGate
from synth.gates.refusal import Refusal
from synth.samples import Rejection
from tests.synth.gates.judged import document, reasons, said, verdicts

GIVEN_AWAY = {
    "refusal": [
        "죄송합니다만, 해당 요청은 도와드릴 수 없습니다.",
        "죄송하지만 그 질문에는 답변드릴 수 없습니다.",
        "죄송합니다. 그런 정보는 제공해 드릴 수 없습니다.",
        "죄송합니다, 이 내용은 제가 번역해 드리기 어렵습니다.",
        "미안하지만 그 부탁은 도와줄 수 없어요.",
        "해당 요청은 처리할 수 없습니다.",
        "이 질문에는 답변을 드릴 수가 없습니다. 다른 질문을 해 주세요.",
        "요청하신 내용은 저희 운영 정책에 위반됩니다.",
        "**죄송하지만** 도움을 드릴 수 없습니다.",
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot assist with this request.",
        "I am really sorry but I am unable to provide that.",
        "Sorry, I can't help you with that.",
        "I cannot provide instructions for this.",
        "Unfortunately, I'm not able to assist with that request.",
        "I apologize, but I cannot do that.",
        "<think>They ask for something odd.</think>\n\nI can't help with that.",
    ],
    "self_reference": [
        "저는 AI 언어 모델입니다. 그래서 감정이 없습니다.",
        "저는 인공지능 언어모델이기 때문에 날씨를 알 수 없습니다.",
        "안녕하세요! 저는 OpenAI에서 개발한 대규모 언어 모델입니다.",
        "AI로서 저는 개인적인 의견이 없습니다.",
        "좋은 질문이네요. 인공지능 챗봇으로서 저는 경험이 없습니다.",
        "저는 인공지능이라서 음식을 먹지 않습니다.",
        "As an AI language model, I do not have feelings.",
        "That is a good question. As a large language model trained by OpenAI, I cannot feel.",
        "I'm just an AI, so I have no opinion.",
        "Hello! I am an AI assistant and have no hobbies.",
        "My knowledge cutoff is in 2023.",
    ],
    "frame": [
        "물론입니다! 다음은 요청하신 글입니다.",
        "네, 아래는 요청하신 문장을 정리한 것입니다:\n- 하나",
        "알겠습니다. 요청하신 대로 다시 써 드리겠습니다.",
        "다음은 번역된 문장입니다:\n안녕하세요",
        "아래는 위 글을 요약한 내용입니다.\n\n글",
        "번역: 안녕하세요",
        "Sure! Here is the poem you asked for.",
        "Certainly, here's a list:\n1. a",
        "Here is the translation:\n안녕하세요",
        "Here's a rewritten version of the text: The cat sat.",
        "Below is the revised text:\nThe cat",
        "Translation: Hello",
    ],
    "leakage": [
        "답은 3입니다.<|im_end|>\n<|im_start|>user",
        "정답입니다. [INST] 다음 [/INST]",
        "답\n### Instruction:\n더 써라",
        "끝<end_of_turn>",
        "원문:\n<<<\n글\n>>>",
        "값은 ⟦2⟧입니다.",
        "<원문>\n글\n</원문>",
        "<예 3>\n지시문\n</예 3>",
    ],
}

HARMLESS = [
    "",
    "언어 모델은 다음에 올 단어의 확률을 예측한다. 대규모 언어 모델은 수십억 개의 매개변수를 가진다.",
    "저는 언어 모델을 연구하는 대학원생입니다. AI 언어 모델의 한계를 다룹니다.",
    "저는 인공지능을 전공했습니다.",
    "나는 인공지능 챗봇을 만들었다.",
    "저는 AI에 관심이 많습니다.",
    "ChatGPT는 자주 “저는 AI 언어 모델입니다.”라고 답한다.",
    "챗봇이 '저는 AI 언어 모델로서 감정이 없습니다'라고 말하면 사용자는 실망한다.",
    "AI로서의 챗봇과 도구로서의 챗봇은 다르다.",
    "인공지능이 사람의 일을 대신할 수 없다는 주장도 있다.",
    "모델은 'I'm sorry, but I can't help with that.'이라고 거절하도록 학습된다.",
    "죄송합니다만 화장실이 어디인가요? 이 표현은 정중하게 물을 때 씁니다.",
    "죄송하지만 오늘 모임에는 참석하기 어려울 것 같습니다. 다음에 꼭 뵙겠습니다.",
    "이 문제는 정수 범위에서 답이 없습니다.",
    "다음은 사과의 수를 구하는 과정입니다.",
    "다음은 세종의 업적이다. 첫째, 훈민정음을 만들었다.",
    "네, 맞습니다. 3은 소수입니다.",
    "물은 100도에서 끓습니다.",
    "번역은 원문의 뜻을 옮기는 일이다.",
    "Large language models predict the next token. As an AI model grows, its loss falls.",
    "I am an AI researcher who studies language models.",
    "I am an AI and robotics student. I'm a chatbot developer.",
    "An AI language model is a system that predicts text.",
    "Some chatbots begin with “As an AI language model, I cannot”, which users dislike.",
    "The assistant replied, \"I'm sorry, but I can't help with that.\"",
    "I cannot recommend this film enough.",
    "I can't believe that he left.",
    "Sorry to hear that! I hope you feel better soon.",
    "Here is the house that Jack built.",
    "Here are three reasons: cost, time, and quality.",
    "Translation is an art.",
    "The template marks turns like this: `<|im_start|>user`.",
    "```\n<|im_start|>system\n```\n위는 ChatML의 예입니다.",
    "In Python the prompt is >>> and shifts are written x >>> 2 elsewhere, x << 3 here.",
    "HTML has <output> and <text> in SVG.",
    "### Instructions\n\nMix flour and water.",
    "As an aircraft mechanic, I check engines. As an air steward, my day begins early.",
    "I'm an aide to the mayor. I am an air traffic controller.",
]


@pytest.fixture(scope="module")
def gate() -> Refusal:
    return Refusal(RefusalGate(gate="refusal"))


@pytest.mark.parametrize(
    ("reason", "text"), [(reason, text) for reason, texts in GIVEN_AWAY.items() for text in texts]
)
def test_given_away(gate: Refusal, reason: str, text: str) -> None:
    assert reasons(gate, said(text)) == [reason]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless(gate: Refusal, text: str) -> None:
    assert verdicts(gate, said(text))[0] == verdicts(gate, said(""))[0]


def test_what_gave_it_away_is_shown(gate: Refusal) -> None:
    (verdict,) = verdicts(gate, said("좋은 질문입니다.   저는  AI 언어 모델입니다."))
    assert isinstance(verdict, Rejection) and "저는 AI 언어 모델입니다" in verdict.detail


def test_further_phrases_are_compared_without_case_and_spaces() -> None:
    gate = Refusal(
        RefusalGate(
            gate="refusal", phrases=["한국 어 교실", unicodedata.normalize("NFD", "옹기 장수"), "ACME corp", " "]
        )
    )
    found = verdicts(gate, said("한국어교실 만세"), said("Acme\nCorp says"), said("한국어 수업"))
    assert [verdict.detail if isinstance(verdict, Rejection) else "" for verdict in found] == [
        "한국 어 교실",
        "ACME corp",
        "",
    ]
    (found,) = verdicts(gate, said("저는 옹기장수입니다."))
    assert isinstance(found, Rejection) and found.reason == "phrase"


def test_real_documents_pass(gate: Refusal, shared_data: Path) -> None:
    for name in ("ko_petitions", "ko_wiki_korquad", "ko_chat_songys", "en_docs_mixed", "en_books_misc"):
        texts = pl.read_parquet(shared_data / "text" / f"{name}.parquet")["text"].head(300)
        found = reasons(gate, *(document(text) for text in texts))
        assert sum(map(bool, found)) <= 1, name
