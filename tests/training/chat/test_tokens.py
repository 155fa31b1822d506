"""Tokens of conversations: what is learnt is what the assistant says to the byte, and text never becomes control."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training import tiny
from tests.training.chat_texts import contents, conversations
from training.chat.rows import BadRow

pytest.importorskip("trl")

from training.chat.conversations import Conversation
from training.chat.template import Rendered, Template, template_source
from training.chat.tokens import Encoded, Encoder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_tokenizer)


@pytest.fixture(scope="module")
def template(tokenizer: Any) -> Template:
    return Template(*template_source("chatml", tokenizer, "/"), tokenizer)


def encoded(tokenizer: Any, rendered: Rendered) -> Encoded:
    [found] = Encoder(tokenizer).encode([rendered])
    assert isinstance(found, Encoded)
    return found


def learnt_parts(tokenizer: Any, found: Encoded) -> list[str]:
    """What stretches of learnt tokens decode to."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.learnt.astype(np.int8), [0]])))
    return [tokenizer.decode(found.ids[start:end].tolist()) for start, end in edges.reshape(-1, 2)]


def test_what_is_learnt_is_what_the_assistant_says(tokenizer: Any, template: Template) -> None:
    @given(conversations())
    @settings(max_examples=100)
    def check(messages: Messages) -> None:
        rendered = template.write(Conversation(tuple(messages)))
        found = encoded(tokenizer, rendered)
        answers = [message["content"] for message in messages if message["role"] == "assistant"]
        assert learnt_parts(tokenizer, found) == [answer + "<|im_end|>" for answer in answers]
        assert tokenizer.decode(found.ids.tolist()) == rendered.text

    check()


def test_text_never_becomes_a_control_token(tokenizer: Any, template: Template) -> None:
    special = list(range(len(tiny.SPECIAL)))

    @given(conversations())
    @settings(max_examples=100)
    def check(messages: Messages) -> None:
        found = encoded(tokenizer, template.write(Conversation(tuple(messages))))
        bare = [{**message, "content": "x"} for message in messages]
        harmless = encoded(tokenizer, template.write(Conversation(tuple(bare))))
        assert (
            found.ids[np.isin(found.ids, special)].tolist() == harmless.ids[np.isin(harmless.ids, special)].tolist()
        )
        # transformers' own sanitizing, which knows no edges of turns, is the oracle of ids that lie across none
        theirs = tokenizer.apply_chat_template(messages, sanitize_control_tokens=True, return_dict=False)
        begins_with_space = any(m["content"][:1].isspace() for m in messages if m["role"] == "assistant")
        assert begins_with_space or found.ids.tolist() == theirs

    check()


def test_functions_cannot_smuggle_control_tokens_in(tokenizer: Any, template: Template) -> None:
    @given(contents(), contents())
    @settings(max_examples=40)
    def check(one: str, other: str) -> None:
        call = {"type": "function", "function": {"name": one, "arguments": {other: [one, {"x": other}]}}}
        tool = {"type": "function", "function": {"name": one, "description": other, "parameters": {one: {}}}}
        messages = (
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": other},
            {"role": "assistant", "content": "a"},
        )
        found = encoded(tokenizer, template.write(Conversation(messages, (tool,))))
        assert (
            (found.ids == 2).sum() == (found.ids == 3).sum() == 5
        )  # <|im_start|>, <|im_end|>: system and four turns
        assert not np.isin(found.ids, [0, 1]).any()

    check()


def test_the_masks_are_those_of_trl(tokenizer: Any, tiny_model: Path, tmp_path: Path) -> None:
    """Qwen's and Llama 3's training templates of TRL, and ours: the labels that SFTTrainer prepares."""
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    folder = Path(trl.__file__).parent / "chat_templates"
    texts = [*tiny.KOREAN, *tiny.ENGLISH, "ㅋㅋ 좋아요🙂\n\n둘째 줄", "1.\n2.\n  3."]
    rows = [tiny.conversation(*texts[i : i + 4], system=[None, "너는 옹기다."][i % 2]) for i in range(len(texts) - 4)]
    for name in ("qwen2_5_training", "llama3_training", "ours"):
        source = (
            template_source("chatml", tokenizer, "/")[1] if name == "ours" else (folder / f"{name}.jinja").read_text()
        )
        tokenizer.chat_template = source
        special = {"additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]}
        if name.startswith("llama3"):
            tokenizer.add_special_tokens(special)
        trainer = trl.SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(tiny_model),
            args=trl.SFTConfig(
                output_dir=str(tmp_path),
                assistant_only_loss=True,
                use_cpu=True,
                bf16=False,
                report_to="none",
                max_length=None,
            ),
            train_dataset=Dataset.from_list([{"messages": row} for row in rows]),
            processing_class=tokenizer,
        )
        template = Template(name, source, tokenizer)
        found = Encoder(tokenizer).encode([template.write(Conversation(tuple(row))) for row in rows])
        for ours, theirs in zip(found, trainer.train_dataset, strict=True):
            assert isinstance(ours, Encoded)
            assert ours.ids.tolist() == theirs["input_ids"]
            assert np.where(ours.learnt, ours.ids, -100).tolist() == theirs["labels"]


# Where tokens and turns do not meet


def bpe(folder: Path, texts: list[str], normalizer: Any = None, pieces: Any = None) -> Any:
    """A tokenizer of bytes whose merges may cross lines and words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.normalizer = normalizer
    made.pre_tokenizer = pieces or pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(tiny.SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=tiny.END_OF_TEXT)


def test_no_token_holds_characters_of_two_turns(tmp_path: Path) -> None:
    tokenizer = bpe(tmp_path, ["assistant\n\nthe", "assistant\nthe"] * 9)
    template = Template(*template_source("chatml", tokenizer, "/"), tokenizer)
    assert len(tokenizer.encode("assistant\nthe")) == 1  # a merge across the edge
    messages = tiny.conversation("q", "the end", "q", "\n\nthe end")
    theirs = tokenizer.apply_chat_template(
        messages, chat_template=template.source, return_assistant_tokens_mask=True, return_dict=True
    )
    masked = zip(theirs["input_ids"], theirs["assistant_masks"], strict=True)
    said = tokenizer.decode([one for one, mask in masked if mask])
    assert said.startswith("assistant")  # transformers' own mask has what is not the assistant's
    found = encoded(tokenizer, template.write(Conversation(tuple(messages))))
    assert learnt_parts(tokenizer, found) == ["the end<|im_end|>", "\n\nthe end<|im_end|>"]
    prompt = tokenizer.apply_chat_template(
        messages[:1], chat_template=template.source, add_generation_prompt=True, return_dict=False
    )
    assert found.ids[: len(prompt)].tolist() == prompt  # as it will be asked


def test_tokens_of_half_a_character_belong_to_its_turn(tmp_path: Path) -> None:
    tokenizer = bpe(tmp_path, ["a"])
    template = Template(*template_source("chatml", tokenizer, "/"), tokenizer)
    found = encoded(tokenizer, template.write(Conversation(tuple(tiny.conversation("가", "각🙂")))))
    assert found.n_learnt == 3 + 4 + 1
    assert learnt_parts(tokenizer, found) == ["각🙂<|im_end|>"]


def test_a_tokenizer_that_composes_jamo_is_no_fault(tmp_path: Path) -> None:
    from tokenizers import normalizers

    tokenizer = bpe(tmp_path, ["한국"], normalizer=normalizers.NFC())
    template = Template(*template_source("chatml", tokenizer, "/"), tokenizer)
    found = encoded(tokenizer, template.write(Conversation(tuple(tiny.conversation("q", "\u1112\u1161\u11ab국")))))
    assert learnt_parts(tokenizer, found) == ["한국<|im_end|>"]


def test_pieces_that_begin_with_a_space_sign_are_no_fault(tmp_path: Path) -> None:
    """As Llama 2's and Mistral's: SentencePiece puts a space before the first word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = [*tiny.SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(
        [*tiny.KOREAN, *tiny.ENGLISH, "\n"] * 3,
        trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=tiny.END_OF_TEXT)
    template = Template(*template_source("chatml", tokenizer, "/"), tokenizer)

    @given(contents(control=False).filter(lambda text: "▁" not in text and "<0x" not in text))
    @settings(max_examples=50)
    def check(answer: str) -> None:
        found = encoded(tokenizer, template.write(Conversation(tuple(tiny.conversation("q", answer)))))
        assert learnt_parts(tokenizer, found)[0].lstrip(" ") == f"{answer}<|im_end|>".lstrip(" ")

    check()


def test_a_tokenizer_that_loses_text_is_told() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[UNK]", *tiny.SPECIAL, "user", "assistant", "hello"])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(list(tiny.SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]")
    template = Template(*template_source("chatml", tokenizer, "/"), tokenizer)
    rendered = template.write(Conversation(tuple(tiny.conversation("hello", "안녕"))))
    [found] = Encoder(tokenizer).encode([rendered])
    assert isinstance(found, BadRow) and found.reason == "not_its_text"


@given(st.integers(1, 30))
@settings(max_examples=10)
def test_a_cut_keeps_the_beginning(length: int) -> None:
    whole = Encoded(np.arange(20, dtype=np.int32), np.arange(20) >= 10)
    found = whole.cut(length)
    assert found.ids.tolist() == list(range(20))[:length]
    assert found.n_learnt == max(0, min(20, length) - 10)
