"""The user's turn in chat templates of the kinds that models have, in a minimal form of our own."""

from pathlib import Path

import orjson
import pytest

from manifests.errors import RequestError
from synth.tasks.chat_template import ChatTemplate, Turn
from tests.conftest import REPOSITORY

CHATML = """{%- if messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
LLAMA3 = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{%- set date_string = strftime_now('%d %b %Y') if strftime_now is defined else '26 Jul 2024' %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n' }}
{{- system_message + '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') -}}
{% endif %}
{% for message in messages %}<start_of_turn>{{ message['role'] }}
{{ message['content'] | trim }}<end_of_turn>
{% endfor %}"""
PLAIN = (
    "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def template(folder: Path, source: str, bos: object = "<s>", alone: bool = False) -> ChatTemplate:
    value = {"bos_token": bos, "eos_token": None} | ({} if alone else {"chat_template": source})
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(value))
    if alone:
        (folder / "chat_template.jinja").write_text(source)
    return ChatTemplate(str(folder))


def test_chatml(tmp_path: Path) -> None:
    found = template(tmp_path, CHATML)
    assert found.turn() == Turn("<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n", "<|im_end|>")
    assert found.turn("도와줘").before == "<|im_start|>system\n도와줘<|im_end|>\n<|im_start|>user\n"


@pytest.mark.parametrize("bos", ["<|begin_of_text|>", {"content": "<|begin_of_text|>", "special": True}])
@pytest.mark.parametrize("alone", [True, False])
def test_llama3(tmp_path: Path, bos: object, alone: bool) -> None:
    assert template(tmp_path, LLAMA3, bos, alone).turn("Be <b>kind</b> & brief.") == Turn(
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 01 Jan 2025\n\n"
        "Be <b>kind</b> & brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|>",
    )


def test_without_system_prompts(tmp_path: Path) -> None:
    found = template(tmp_path, GEMMA, "<bos>")
    assert found.turn() == Turn("<bos><start_of_turn>user\n", "<end_of_turn>")
    with pytest.raises(RequestError, match=r"System role not supported; where it takes no system prompt"):
        found.turn("Be kind.")


def test_ended_by_what_the_assistant_begins_with(tmp_path: Path) -> None:
    assert template(tmp_path, PLAIN).turn() == Turn("USER: ", "ASSISTANT:")


def test_several_templates_and_marks_of_generation(tmp_path: Path) -> None:
    marked = "{% generation %}{{ messages[0].content }}{% endgeneration %}<|end|>"
    value = [{"name": "tool_use", "template": ""}, {"name": "default", "template": marked}]
    (tmp_path / "tokenizer_config.json").write_bytes(orjson.dumps({"chat_template": value}))
    assert ChatTemplate(str(tmp_path)).turn() == Turn("", "<|end|>")


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("{% for %}", "is no chat template"),
        ("{{ nothing.at.all }}", "does not render"),
        ("{{ messages.__class__.__mro__ }}", "does not render|has 0 places"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "does not render"),
        ("hello", "has 0 places"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "has 2 places"),
        ("{{ messages.append(1) }}{{ messages[0].content }}", "does not render"),
    ],
)
def test_no_template(tmp_path: Path, source: str, wrong: str) -> None:
    with pytest.raises(RequestError, match=wrong):
        template(tmp_path, source).turn()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no chat template"):
        ChatTemplate(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(RequestError, match="cannot be read"):
        ChatTemplate(str(tmp_path))


def test_a_model_of_today() -> None:
    """SmolLM2's own template, where `make judge` has put it."""
    folder = REPOSITORY / ".venv-judge" / "smollm2-135m-instruct"
    if not folder.is_dir():
        pytest.skip("`make judge` was not run here")
    turn = ChatTemplate(str(folder)).turn("Help.")
    assert turn == Turn("<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\n", "<|im_end|>")
