"""What servers send, right and wrong."""

import contextlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.teachers.answers import Answer, Request
from synth.teachers.responses import MalformedError, aliases, answer_of, is_of_model, parsed
from synth.teachers.token_arrays import TokenArrays, pack, unpack
from synth.teachers.tokens import Tokens

CHAT, TEXT, REWARD = (Request((("user", "u"),), "{}", None, kind) for kind in ("chat", "text", "reward"))


def chat(**more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": "말"}, "finish_reason": "stop", **more}]}


@pytest.mark.parametrize(
    ("answered", "is_same"),
    [
        ("gpt-4o", True),
        (None, True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-20240806", True),
        ("gpt-4o-0613", True),
        ("gpt-4o-mini", False),
        ("gpt-4o-mini-2024-07-18", False),
        ("gpt-4o2", False),
        ("gpt-4", False),
        ("GPT-4o", False),
        ("", False),
        (4, False),
        (["gpt-4o"], False),
    ],
)
def test_the_model_that_was_asked_answered(answered: Any, is_same: bool) -> None:
    assert is_of_model(answered, "gpt-4o") == is_same


def test_other_names_of_the_same_weights() -> None:
    models = {
        "data": [{"id": "a", "root": "/m"}, {"id": "b", "root": "/m"}, {"id": "c", "root": "/n"}, {"id": "d"}, 3]
    }
    assert aliases(models, "a") == {"a", "b", "/m"}
    assert aliases(models, "d") == set()
    assert aliases(models, "none") == set()
    assert aliases({"data": None}, "a") == aliases({}, "a") == set()


@pytest.mark.parametrize("content", [b"", b"{", b'{"choices": [{"mess', b"[1]", b"null", b"<html>", b"\xff\xfe{}"])
def test_what_is_no_json_object(content: bytes) -> None:
    with pytest.raises(MalformedError, match="is no JSON"):
        parsed(content)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"content": ["a"]}}]},
        {**chat(), "usage": {"prompt_tokens": "many"}},
        {"error": {"message": "overloaded"}},
    ],
)
def test_what_has_not_the_form_of_a_chat(value: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match="has not the form of an answer"):
        answer_of(CHAT, value, None, 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "data", "probs", "usage", "text", "logprobs", "finish_reason"]
                ),
                v,
            )
        ),
    )
)
def test_whatever_comes_is_an_answer_or_malformed(value: Any) -> None:
    for request in (CHAT, TEXT, REWARD):
        for tokenizer in (None, "digest"):
            with contextlib.suppress(MalformedError, RequestError):
                assert isinstance(answer_of(request, value if isinstance(value, dict) else {}, tokenizer, 1), Answer)


def test_an_answer_is_passed_on_as_it_is() -> None:
    value = chat(finish_reason="length") | {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    value["choices"][0]["message"] |= {"reasoning": "왜", "refusal": "no"}
    assert answer_of(CHAT, value, None, 0) == Answer("말", "length", "no", "왜", 3, 4)
    assert answer_of(CHAT, chat(finish_reason=None), None, 0).finish_reason == ""
    assert answer_of(CHAT, {"choices": [{"message": {"content": None}}]}, None, 0).text == ""
    assert answer_of(TEXT, {"choices": [{"text": " 뒤", "finish_reason": "stop"}]}, None, 0) == Answer(" 뒤", "stop")


def test_a_score() -> None:
    value = {"data": [{"index": 0, "label": "L", "probs": [0.2474], "num_classes": 1}], "usage": {"prompt_tokens": 7}}
    assert answer_of(REWARD, value, None, 0) == Answer("", "stop", n_prompt_tokens=7, score=0.2474)
    value["data"][0]["probs"] = [0.1, 0.9]  # type: ignore[index]
    with pytest.raises(RequestError, match="gives 2 scores and not one"):
        answer_of(REWARD, value, None, 0)
    for wrong in ({}, {"data": []}, {"data": [{}]}, {"data": [{"probs": [None]}]}, {"data": [{"probs": 1.0}]}):
        with pytest.raises(MalformedError):
            answer_of(REWARD, wrong, None, 0)


def step(token: int, logprob: float, likeliest: dict[int, float]) -> dict[str, Any]:
    return {
        "token": f"token_id:{token}",
        "logprob": logprob,
        "bytes": [],
        "top_logprobs": [{"token": f"token_id:{t}", "logprob": value} for t, value in likeliest.items()],
    }


def with_tokens() -> dict[str, Any]:
    """As vLLM has them: the token of the answer first, whether it is the likeliest or not."""
    steps = [step(7, -0.5, {7: -0.5, 9: -1.0}), step(5, -3.0, {5: -3.0, 8: -0.1}), step(2, 0.0, {2: 0.0, 1: -9999.0})]
    value = chat(logprobs={"content": steps}, token_ids=[7, 5, 2])
    return value | {"prompt_token_ids": [1, 128_000, 3]}


def check(tokens: Tokens | None) -> None:
    assert tokens
    assert (tokens.n_prompt, tokens.n_output, tokens.top, tokens.tokenizer) == (3, 3, 2, "digest")
    found = unpack(tokens)
    assert found.prompt_ids.tolist() == [1, 128_000, 3]
    assert found.output_ids.tolist() == [7, 5, 2]
    assert found.logprobs.tolist() == [-0.5, -3.0, 0.0]
    assert found.top_ids.tolist() == [[7, 9], [8, 5], [2, 1]]
    assert np.allclose(found.top_logprobs, [[-0.5, -1.0], [-0.1, -3.0], [0.0, -9999.0]])


def test_tokens_of_a_chat() -> None:
    check(answer_of(CHAT, with_tokens(), "digest", 2).tokens)
    assert answer_of(CHAT, with_tokens(), None, 2).tokens is None


def test_tokens_of_a_text() -> None:
    """One more than was asked for, where the token of the answer is not among them."""
    likeliest = [{"token_id:7": -0.5, "token_id:9": -1.0}, {"token_id:5": -3.0, "token_id:8": -0.1}]
    likeliest += [{"token_id:2": 0.0, "token_id:1": -9999.0, "token_id:4": -9999.0}]
    logprobs = {
        "tokens": ["token_id:7", "token_id:5", "token_id:2"],
        "token_logprobs": [-0.5, -3.0, 0.0],
        "top_logprobs": likeliest,
    }
    choice = {"text": "t", "finish_reason": "stop", "logprobs": logprobs, "token_ids": [7, 5, 2]}
    check(answer_of(TEXT, {"choices": [choice | {"prompt_token_ids": [1, 128_000, 3]}]}, "digest", 2).tokens)


def test_no_likeliest_tokens_and_no_tokens_at_all() -> None:
    found = answer_of(CHAT, with_tokens(), "digest", 0).tokens
    assert found
    assert unpack(found).top_ids.shape == (3, 0)
    empty = chat(logprobs={"content": None}, token_ids=[]) | {"prompt_token_ids": [1]}
    found = answer_of(CHAT, empty, "digest", 2).tokens
    assert found
    assert unpack(found).top_ids.shape == (0, 2)


def spoiled(how: str) -> dict[str, Any]:
    value = with_tokens()
    choice = value["choices"][0]
    if how == "prompt_token_ids":
        del value["prompt_token_ids"]
    elif how == "text":
        choice["logprobs"]["content"][1]["token"] = "말"
    elif how == "short":
        choice["logprobs"]["content"].pop()
    elif how == "top":
        choice["logprobs"]["content"][2]["top_logprobs"].pop()
    elif how == "no top":
        del choice["logprobs"]["content"][2]["top_logprobs"]
    else:
        del choice[how]
    return value


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("prompt_token_ids", "the answer has no prompt_token_ids"),
        ("token_ids", "the answer has no token_ids"),
        ("logprobs", "the answer has no logprobs"),
        ("text", "a token is '말' and not its id"),
        ("short", "logprobs of 2 tokens, which are not its 3 token_ids"),
        ("top", "it has 1 of 2 top_logprobs"),
        ("no top", "it has 0 of 2 top_logprobs"),
    ],
)
def test_tokens_that_were_asked_for_and_ignored(how: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        answer_of(CHAT, spoiled(how), "digest", 2)


@given(n_prompt=st.integers(0, 50), n=st.integers(0, 50), k=st.integers(0, 21), seed=st.integers(0, 99))
def test_tokens_survive_packing(n_prompt: int, n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def ids(*shape: int) -> Any:
        return rng.integers(0, 262_144, shape, dtype=np.int32)

    def logs(*shape: int) -> Any:
        return -rng.exponential(3, shape).astype(np.float32)

    arrays = TokenArrays(ids(n_prompt), ids(n), logs(n), ids(n, k), logs(n, k))
    found = unpack(Tokens(**orjson.loads(orjson.dumps(pack(arrays, "d")))))
    for name in ("prompt_ids", "output_ids", "logprobs", "top_ids", "top_logprobs"):
        assert np.array_equal(getattr(found, name), getattr(arrays, name))
