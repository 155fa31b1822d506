"""Tiny models for tests of training: a byte-level tokenizer of Korean and English, and a Llama of some 0.2 M weights.

What the fixtures of the conftest beside it make (`tiny_model`, `tiny_tokenizer`) is made once per session and only
read; a test that changes a model copies its folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

VOCABULARY = 600
PAD, END_OF_TEXT, START_OF_TURN, END_OF_TURN = "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (PAD, END_OF_TEXT, START_OF_TURN, END_OF_TURN)
"""Their ids are 0 to 3."""

KOREAN = (
    "안녕하세요, 무엇을 도와드릴까요?",
    "한국어 말뭉치를 다듬는 일은 장을 담그는 일과 같습니다.",
    "옹기는 숨을 쉬는 그릇이라 된장과 고추장이 잘 익습니다.",
    "서울에서 부산까지 기차로 세 시간쯤 걸립니다.",
    "오늘 날씨가 맑아서 산책을 하기 좋습니다 ㅋㅋ",
    "이 문제의 답은 42입니다. 먼저 양변을 2로 나눕니다.",
)
ENGLISH = (
    "Hello, how can I help you today?",
    "The quick brown fox jumps over the lazy dog, and then it doesn't.",
    "Earthenware breathes, so that soy bean paste ripens well in it.",
    "def add(a, b):\n    return a + b\n",
    "The answer is 42. First divide both sides by 2.",
    "user assistant system",
)
QUESTIONS = ("수도가 어디인가요?", "What is the capital?", "1 더하기 2는?", "Write a function that adds.")


def save_tokenizer(folder: Path, *, special: Sequence[str] = SPECIAL, template: str | None = "chatml") -> Path:
    """A folder with a byte-level BPE tokenizer; every text comes back from its tokens as it was.

    Args:
        folder: where to.
        special: special tokens; without those of ChatML it is a base model's.
        template: chat template, by its name in `training/templates`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*KOREAN, *ENGLISH] * 3, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=PAD if PAD in special else None,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = template and chat_template(template)
    wrapped.save_pretrained(folder)
    return folder


def chat_template(name: str) -> str:
    """The source of a template that Onggi ships."""
    import training

    return (Path(training.__file__).parent / "templates" / f"{name}.jinja").read_text("utf-8")


def config(**changes: Any) -> Any:
    """Configuration of the tiny Llama: 2 layers of width 64, 4 heads of 32, 2 of keys and values."""
    from transformers import LlamaConfig

    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    return LlamaConfig(**(settings | changes))


def save_model(
    folder: Path, *, seed: int = 0, special: Sequence[str] = SPECIAL, template: str | None = "chatml", **changes: Any
) -> Path:
    """A folder with a tiny Llama of random weights (the same for the same seed), saved by transformers, and its
    tokenizer.

    Args:
        folder: where to.
        seed: of the weights.
        special: as of `save_tokenizer`.
        template: as of `save_tokenizer`.
        changes: of its configuration.
    """
    import torch
    from transformers import LlamaForCausalLM

    save_tokenizer(folder, special=special, template=template)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config(**changes))
    model.save_pretrained(folder)
    return folder


def save_reward_model(folder: Path, *, seed: int = 0, special: Sequence[str] = SPECIAL, **changes: Any) -> Path:
    """The same with a head of one number instead of the output layer.

    Args:
        folder: where to.
        seed: of the weights.
        special: as of `save_tokenizer`.
        changes: of its configuration.
    """
    import torch
    from transformers import LlamaForSequenceClassification

    save_tokenizer(folder, special=special)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForSequenceClassification(config(num_labels=1, **changes))
    model.save_pretrained(folder)
    return folder


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def conversation(*texts: str, system: str | None = None) -> list[dict[str, str]]:
    """Messages: what the user says and what the assistant answers, by turns."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


def chats(n: int, answers: Sequence[str] = (*KOREAN, *ENGLISH)) -> list[dict[str, Any]]:
    """Rows with `messages`: n conversations of one turn, all different."""
    return [
        {"messages": conversation(f"{QUESTIONS[i % len(QUESTIONS)]} ({i})", answers[i % len(answers)])}
        for i in range(n)
    ]


def pairs(n: int) -> list[dict[str, Any]]:
    """Rows with `prompt`, `chosen` and `rejected`, as messages: Korean is preferred."""
    return [
        {
            "prompt": [{"role": "user", "content": f"{QUESTIONS[i % len(QUESTIONS)]} ({i})"}],
            "chosen": [{"role": "assistant", "content": KOREAN[i % len(KOREAN)]}],
            "rejected": [{"role": "assistant", "content": ENGLISH[i % len(ENGLISH)]}],
        }
        for i in range(n)
    ]
