"""Parameters as vLLM's."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar


class RequestOutputKind(Enum):
    FINAL_ONLY = 2


@dataclass
class StructuredOutputsParams:
    json: Any = None


@dataclass
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int | None = 16
    seed: int | None = None
    stop: Any = None
    logprobs: int | None = None
    structured_outputs: StructuredOutputsParams | None = None
    output_kind: RequestOutputKind | None = None
    repetition_penalty: float = 1.0
    n: int = 1

    __struct_fields__: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.temperature > 2:
            raise ValueError("temperature must be at most 2")


SamplingParams.__struct_fields__ = tuple(SamplingParams.__dataclass_fields__)
