"""Templates: they write what transformers writes, and what is learnt is the assistant's words and the turn's end."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.chat.test_conversations import CALLED, TOOL
from tests.training.chat_texts import conversations
from training.chat.rows import BadRow

pytest.importorskip("transformers")

from training.chat.conversations import Conversation
from training.chat.template import SHIPPED, Rendered, Template, control_tokens_of, template_source

LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<bos>", "<start_of_turn>", "<end_of_turn>")
MARKER = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    special = (*tiny.SPECIAL, *LLAMA3, *GEMMA)
    loaded = AutoTokenizer.from_pretrained(tiny.save_tokenizer(tmp_path_factory.mktemp("t"), special=special))
    loaded.bos_token = "<|begin_of_text|>"
    return loaded


def shipped(name: str, tokenizer: Any) -> Template:
    return Template(*template_source(name, tokenizer, "/"), tokenizer)


def parts(rendered: Rendered) -> list[str]:
    return [rendered.text[start:end] for start, end in rendered.learnt]


ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "gemma": "<end_of_turn>"}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_templates_write_what_transformers_writes(name: str, tokenizer: Any) -> None:
    template = shipped(name, tokenizer)

    @given(conversations(control=False))
    @settings(max_examples=30)
    def check(messages: list[dict[str, str]]) -> None:
        rendered = template.write(Conversation(tuple(messages)))
        written = tokenizer.apply_chat_template(messages, chat_template=template.source, tokenize=False)
        assert rendered.text == written
        answers = [message["content"] for message in messages if message["role"] == "assistant"]
        kept = [answer if name == "chatml" else answer.strip() for answer in answers]
        assert parts(rendered) == [answer + ENDS[name] for answer in kept]
        assert rendered.end == ENDS[name]

    check()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_template_without_markers_gives_the_same_spans(name: str, tokenizer: Any) -> None:
    template = shipped(name, tokenizer)
    bare = Template("bare", MARKER.sub("", template.source), tokenizer)
    assert template.has_markers and not bare.has_markers

    @given(conversations())
    @settings(max_examples=30)
    def check(messages: list[dict[str, str]]) -> None:
        assert bare.write(Conversation(tuple(messages))) == template.write(Conversation(tuple(messages)))

    check()


def test_nothing_is_learnt_of_the_prompt(tokenizer: Any) -> None:
    messages = tuple(tiny.conversation("가", "나", "다", "라"))
    for source in (shipped("chatml", tokenizer).source, MARKER.sub("", shipped("chatml", tokenizer).source)):
        template = Template("t", source, tokenizer)
        assert parts(template.write(Conversation(messages))) == ["나<|im_end|>", "라<|im_end|>"]
        assert parts(template.write(Conversation(messages, n_context=3))) == ["라<|im_end|>"]


@pytest.mark.parametrize("name", ["chatml", "llama3"])
def test_functions_are_told_and_called(name: str, tokenizer: Any) -> None:
    template = shipped(name, tokenizer)
    rendered = template.write(Conversation(tuple(CALLED), (TOOL,)))
    call, answer = parts(rendered)
    assert '"weather"' in call and '{"city": "서울"}' in call and call.endswith(ENDS[name])
    assert answer == f"모르겠습니다.{ENDS[name]}"
    assert '"parameters": {"type": "object"}' in rendered.text[: rendered.learnt[0][0]]
    assert rendered.text == tokenizer.apply_chat_template(
        CALLED, tools=[TOOL], chat_template=template.source, tokenize=False
    )


def test_chatml_writes_functions_as_qwen_does(tokenizer: Any) -> None:
    import trl

    source = (Path(trl.__file__).parent / "chat_templates/qwen2_5_training.jinja").read_text()
    messages = ({"role": "system", "content": "s"}, *CALLED)
    theirs = Template("qwen", source, tokenizer).write(Conversation(messages, (TOOL,)))
    assert shipped("chatml", tokenizer).write(Conversation(messages, (TOOL,))).text == theirs.text


def test_a_template_that_rewrites_what_was_said_is_refused(tokenizer: Any) -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content if loop.last else m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    template = Template("template own.jinja", source, tokenizer)
    thought = "<think>음</think>답"
    assert parts(template.write(Conversation(tuple(tiny.conversation("q", thought))))) == [f"{thought}<|im_end|>"]
    with pytest.raises(RequestError, match=r"template own.jinja: turn 2 is written otherwise where .* `chatml`"):
        template.write(Conversation(tuple(tiny.conversation("q", thought, "q", "답"))))


def test_a_turn_that_does_not_end_with_a_control_token_is_refused(tokenizer: Any) -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}"
        "{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>{% endif %}{% endfor %}"
    )
    with pytest.raises(RequestError, match="ends with '답', which is no control token"):
        Template("t", source, tokenizer).write(Conversation(tuple(tiny.conversation("q", "답"))))
    with pytest.raises(RequestError, match=r"ends with '<\|im_end\|>', which is no control token"):
        Template("t", source, tokenizer).write(Conversation(tuple(tiny.conversation("q", "<|im_end|>"))))
    no_end = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{{ 'assistant: ' if add_generation_prompt }}"
    )
    with pytest.raises(RequestError, match="ends with no control token"):
        Template("t", no_end, tokenizer).write(Conversation(tuple(tiny.conversation("q", "답"))))


def test_today_is_always_the_same_day(tokenizer: Any) -> None:
    import trl

    source = (Path(trl.__file__).parent / "chat_templates/llama3_2.jinja").read_text()
    rendered = Template("t", source, tokenizer).write(Conversation(tuple(tiny.conversation("q", "답"))))
    assert "Today Date: 26 Jul 2024" in rendered.text
    assert parts(rendered) == ["답<|eot_id|>"]


def test_a_template_runs_in_the_sandbox(tokenizer: Any) -> None:
    messages = tuple(tiny.conversation("q", "a"))
    with pytest.raises(BadRow, match="unsafe"):
        Template("t", "{{ messages.__class__.__mro__ }}", tokenizer).write(Conversation(messages))
    with pytest.raises(BadRow, match="system first") as raised:
        Template("t", "{{ raise_exception('system first') }}", tokenizer).write(Conversation(messages))
    assert raised.value.reason == "template_refuses"
    with pytest.raises(RequestError, match="t: is no Jinja"):
        Template("t", "{% for %}", tokenizer)


def test_templates_are_found(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{{ messages }}")
    assert template_source("own.jinja", tokenizer, str(tmp_path)) == ("template own.jinja", "{{ messages }}")
    assert template_source(None, tokenizer, "/")[1] == tokenizer.chat_template
    with pytest.raises(RequestError, match=r"template: .*nothing: No such file or directory; expected `chatml`"):
        template_source("nothing", tokenizer, str(tmp_path))
    assert control_tokens_of(template_source("llama3", tokenizer, "/")[1]) == list(LLAMA3[1:])
