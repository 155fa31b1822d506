"""Encoders as they are used: a folder is loaded, and texts become vectors.

    encoder = load_encoder("run/stages/contrast-1a2b3c4d/model")
    questions = encoder.encode(["수도가 어디인가요?"], instruction="Find the passage that answers the question: ")
    passages = encoder.encode(["대한민국의 수도는 서울이다.", "Bread is baked of flour."])
    (questions @ passages.T).argmax(1)

The folder is a model of transformers (`AutoModel`): `is_causal: false` in its `config.json` says that it sees both
ways, and `onggi_encoder` there how its vectors are made.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manifests.errors import RequestError
from training.encoders.attention import check_can, sees_both_ways
from training.encoders.pooling import Pooling, TextTokens, laid_out, vectors
from training.trainers import load_model, load_tokenizer

FIELD = "onggi_encoder"
"""Of `config.json`, where an encoder's settings stand."""
TOKENS_AT_ONCE = 16_384
"""Of a batch, padding too."""
TEXTS_AT_ONCE = 1 << 14
"""That are held as tokens; sorted by length among themselves."""
F32 = NDArray[np.float32]


class EncoderSettings(BaseModel):
    """How vectors are made; of a model that says nothing, as a language model, the mean of 512 tokens at most."""

    model_config = ConfigDict(frozen=True)

    pooling: Pooling = "mean"
    max_length: int = Field(512, ge=8)


class Encoder:
    """A model that turns texts into vectors."""

    def __init__(self, model: Any, tokenizer: Any, settings: EncoderSettings) -> None:
        """Of a model without an output layer."""
        self.model, self.tokenizer, self.settings = model.eval(), tokenizer, settings
        self._tokens = TextTokens(tokenizer, settings.max_length, settings.pooling)

    @property
    def is_bidirectional(self) -> bool:
        """Whether it sees both ways."""
        return sees_both_ways(self.model.config)

    def encode(
        self, texts: Sequence[str], instruction: str = "", told: Callable[[int], None] = lambda _: None
    ) -> F32:
        """(n, width): a vector of length 1 for each text; their products are cosines.

        Args:
            texts: none of them empty.
            instruction: what is put before each; it is read, and is no part of the mean.
            told: is called after some texts, with how many they were.

        Raises:
            RequestError: a text is empty, or the instruction leaves no room for one.
        """
        for number, text in enumerate(texts):
            if not text.strip():
                raise RequestError(f"texts[{number}]: is empty, so that nothing can be a vector of it")
        found = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            ids = self._tokens(texts[start : start + TEXTS_AT_ONCE], instruction)
            for rows in batches_of([len(one.ids) for one in ids]):
                batch = laid_out([ids[row] for row in rows], self.tokenizer.pad_token_id or 0)
                found[np.array(rows) + start] = self._vectors(batch)
                told(len(rows))
        return found

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _vectors(self, batch: dict[str, torch.Tensor]) -> F32:
        here = {name: values.to(self.model.device) for name, values in batch.items()}
        found: F32 = vectors(self.model, here, self.model.config, self.settings.pooling).cpu().numpy()
        return found


def batches_of(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of texts by batches: longest first, those of like length together."""
    found, width = list[list[int]](), 0
    for number in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        if not found or (len(found[-1]) + 1) * width > TOKENS_AT_ONCE:
            found.append([])
            width = lengths[number]
        found[-1].append(number)
    return found


def settings_of(config: Any, folder: str) -> EncoderSettings:
    """What a configuration says of how vectors are made.

    Raises:
        RequestError: it says something else.
    """
    try:
        return EncoderSettings.model_validate(getattr(config, FIELD, None) or {})
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join([FIELD, *map(str, wrong["loc"])])
        raise RequestError(
            f"{Path(folder, 'config.json')}: {place}: {wrong['msg']}, found {wrong['input']!r}"
        ) from None


def load_backbone(folder: str) -> Any:
    """The model in a folder without its output layer.

    Raises:
        RequestError: there is no such model.
    """
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # it would tell that the output layer is left out
    try:
        return load_model(folder, backbone=True)
    finally:
        transformers.logging.set_verbosity(level)


def load_encoder(folder: str | Path, settings: EncoderSettings | None = None, device: str | None = None) -> Encoder:
    """The encoder in a folder; also of a language model, whose tokens' mean is then a vector to compare with.

    Args:
        folder: `config.json`, safetensors and the tokenizer.
        settings: instead of what the folder says.
        device: as torch names it; without it a GPU, if there is one.

    Raises:
        RequestError: there is no such model, or it cannot see both ways.
    """
    model = load_backbone(str(folder))
    settings = settings or settings_of(model.config, str(folder))
    if sees_both_ways(model.config):
        check_can(model.config, settings.max_length, str(folder))
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Encoder(model, load_tokenizer(str(folder)), settings)
