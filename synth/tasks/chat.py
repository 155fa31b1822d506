"""Chats: how a seed opens one, and how the teacher is asked for the next answer."""

from collections.abc import Sequence
from dataclasses import replace

from synth.prompts import Prompt, Prompts, Turn
from synth.samples import Item, Message


def opening(item: Item) -> Message:
    """What the user says first: the instruction of a seed, and what it is about."""
    return Message("user", f"{item.text}\n\n{item.input}" if item.input else item.text)


def chat_prompt(prompts: Prompts, language: str, messages: Sequence[Message]) -> Prompt:
    """What is asked for the answer to the last of these messages, which begin and end with the user's.

    The teacher gets a system prompt with it, of `chat/answer`, which samples leave out: what it asks for is what a
    student is to do unasked.
    """
    first, *rest = messages
    prompt = prompts("chat/answer", language, text=first.content)
    turns: list[Turn] = [("user" if message.role == "user" else "assistant", message.content) for message in rest]
    return replace(prompt, messages=(*prompt.messages, *turns))
