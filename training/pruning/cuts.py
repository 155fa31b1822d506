"""What pruning makes of each tensor: which rows and columns stay, and by what they are multiplied.

An RMSNorm divides by the root of the mean of its input's squares. Of H channels K stay: weights of norms are
multiplied by sqrt(H / K), and epsilon by H / K. Channels that were always 0 then change nothing by going, since the
mean becomes H / K times what it was. Where all channels are alike the mean stays, and what comes out of a norm
becomes larger by just so much that the products of K channels with the next matrix are as large as those of H were.

Gemma multiplies input embeddings by sqrt(hidden size) and the norm by 1 + w. Its embeddings are multiplied by
sqrt(H / K), so that the first layer reads what it did; where they are the output's as well, the last norm stays as it
is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from manifests.errors import RequestError
from training.merging.config import is_said_to_be_tied
from training.model_files import Checkpoint
from training.pruning.families import EPSILON, Shape, family_of, settle_width, shape_of
from training.pruning.ranking import I64, Kept
from training.safetensors_files import DTYPES, Tensor

EMBEDDINGS, OUTPUT, LAST_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
OF_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
BUFFER = "rotary_emb.inv_freq"


@dataclass(frozen=True)
class Cut:
    """What becomes of a tensor."""

    tensor: Tensor
    rows: I64 | None = None
    """Those that stay; None for all."""
    columns: I64 | None = None
    factor: float = 1.0
    """By which numbers are multiplied."""
    is_gemma_norm: bool = False
    """The factor is that of 1 + w."""
    other: Tensor | None = None
    """What its mean is taken with."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is written."""
        first, *others = self.tensor.shape
        n_rows = first if self.rows is None else len(self.rows)
        return (n_rows, *(others if self.columns is None else [len(self.columns)]))


@dataclass(frozen=True)
class Plan:
    """What pruning makes of a checkpoint."""

    cuts: list[Cut]
    config: dict[str, Any]
    notes: list[str]

    @property
    def n_weights(self) -> int:
        """Of the new model."""
        return sum(int(np.prod(cut.shape, dtype=np.int64)) for cut in self.cuts if not _is_buffer(cut.tensor))

    @property
    def n_beside_embeddings(self) -> int:
        """The same, without input and output embeddings."""
        at_tokens = (cut for cut in self.cuts if cut.tensor.name in (EMBEDDINGS, OUTPUT))
        return self.n_weights - sum(int(np.prod(cut.shape, dtype=np.int64)) for cut in at_tokens)


def is_tied(model: Checkpoint) -> bool:
    """Whether its output embeddings are the input's."""
    return bool(is_said_to_be_tied(model.config)) or OUTPUT not in model.tensors


def plan_cuts(model: Checkpoint, kept: Kept, tie_embeddings: bool) -> Plan:
    """What becomes of each tensor, in the order in which they lie, and of the configuration.

    Raises:
        RequestError: the model has tensors that are not known, or no embeddings that could be tied.
    """
    shape, family, was_tied = shape_of(model), family_of(model.config, model.name), is_tied(model)
    now_tied = was_tied or tie_embeddings
    if tie_embeddings and not was_tied and family.is_gemma:
        raise RequestError(f"{model.name}: tie_embeddings: Gemma scales its input embeddings only; leave it out")
    work = _Work(model, shape, kept, now_tied)
    cuts = [cut for tensor in model.tensors.values() if (cut := work.cut(tensor)) is not None]
    config = {name: value for name, value in model.config.items() if name != "auto_map"}
    new = work.shape_after
    config |= vars(new)
    notes = settle_width(config)
    if now_tied or "tie_word_embeddings" in config:
        config["tie_word_embeddings"] = now_tied
    if work.n_after != work.n_before:
        config[EPSILON] = float(config.get(EPSILON, 1e-6) * work.n_before / work.n_after)
    notes += ["config.json names Python code (`auto_map`), which is not copied"] if "auto_map" in model.config else []
    notes += ["embeddings were one already"] if tie_embeddings and was_tied else []
    return Plan(cuts, config, notes)


class _Work:
    """A checkpoint, and what stays of it."""

    def __init__(self, model: Checkpoint, shape: Shape, kept: Kept, now_tied: bool) -> None:
        self.model, self.shape, self.kept, self.now_tied = model, shape, kept, now_tied
        self.family = family_of(model.config, model.name)
        self.hidden = kept.hidden.copy()
        if now_tied:
            self.hidden[-1] = self.hidden[0]
        self.n_before, self.n_after = shape.hidden_size, int(self.hidden.shape[1])
        self._check()

    def _check(self) -> None:
        n_layers = self.shape.num_hidden_layers
        found = (len(self.hidden) - 1, len(self.kept.mlp), len(self.kept.heads))
        if found != (n_layers,) * 3:
            raise RequestError(f"{self.model.name}: has {n_layers} layers; what is kept was chosen for {found[0]}")

    @property
    def shape_after(self) -> Shape:
        """The new sizes."""
        inner, heads = self.kept.mlp.shape[1], self.kept.heads.shape[1]
        n_layers, groups = self.shape.num_hidden_layers, self.shape.num_key_value_heads
        return Shape(self.n_after, inner, n_layers, heads, groups, self.shape.head_dim)

    @property
    def growth(self) -> float:
        """By what norms are multiplied."""
        return sqrt(self.n_before / self.n_after)

    def cut(self, tensor: Tensor) -> Cut | None:
        """What becomes of a tensor; None where it is left out."""
        if _is_buffer(tensor):
            return Cut(tensor)
        if tensor.dtype not in DTYPES:
            raise RequestError(f"{self.model.name}: {tensor.name} is {tensor.dtype}; only floats can be pruned")
        if tensor.name in (EMBEDDINGS, OUTPUT, LAST_NORM):
            return self._cut_of_ends(tensor)
        if match := OF_LAYER.fullmatch(tensor.name):
            return self._cut_of_layer(tensor, int(match[1]), match[2], match[3] == "bias")
        raise RequestError(f"{self.model.name}: it is not known what {tensor.name} does, so it cannot be pruned")

    def _cut_of_ends(self, tensor: Tensor) -> Cut | None:
        """Of embeddings and the last norm."""
        is_gemma = self.family.is_gemma
        if tensor.name == LAST_NORM:
            return self._norm(tensor, self.hidden[-1], 1.0 if is_gemma and self.now_tied else self.growth)
        if tensor.name == OUTPUT:
            return None if self.now_tied else Cut(tensor, columns=self._of(self.hidden[-1], self.n_before))
        other = None if is_tied(self.model) or not self.now_tied else self.model.tensors[OUTPUT]
        return Cut(
            tensor,
            columns=self._of(self.hidden[0], self.n_before),
            factor=self.growth if is_gemma else 1.0,
            other=other,
        )

    def _cut_of_layer(self, tensor: Tensor, layer: int, name: str, is_bias: bool) -> Cut:
        hidden = self._of(self.hidden[layer], self.n_before)
        if name in self.family.norms:
            return self._norm(tensor, self.hidden[layer], self.growth)
        inner = self._of(self.kept.mlp[layer], self.shape.intermediate_size)
        heads = self._rows_of_heads(self.kept.heads[layer])
        rows, columns = {
            "self_attn.q_proj": (heads, hidden),
            "self_attn.k_proj": (None, hidden),
            "self_attn.v_proj": (None, hidden),
            "self_attn.o_proj": (hidden, heads),
            "self_attn.q_norm": (None, None),
            "self_attn.k_norm": (None, None),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }.get(name) or self._unknown(tensor)
        return Cut(tensor, rows, None if is_bias else columns)

    def _norm(self, tensor: Tensor, hidden: I64, factor: float) -> Cut:
        return Cut(tensor, self._of(hidden, self.n_before), None, factor, self.family.is_gemma)

    def _rows_of_heads(self, heads: I64) -> I64 | None:
        if len(heads) == self.shape.num_attention_heads:
            return None
        width = self.shape.head_dim
        rows: I64 = (heads[:, None] * width + np.arange(width)).reshape(-1)
        return rows

    def _of(self, chosen: I64, n: int) -> I64 | None:
        """Those that are chosen; None for all."""
        return None if len(chosen) == n else chosen

    def _unknown(self, tensor: Tensor) -> tuple[I64 | None, I64 | None]:
        raise RequestError(f"{self.model.name}: it is not known what {tensor.name} does, so it cannot be pruned")


def _is_buffer(tensor: Tensor) -> bool:
    return tensor.name.endswith(BUFFER)


def first_kept(shape: Shape, sizes: Mapping[str, int]) -> Kept:
    """So many of each, to count weights by, whichever they are."""
    n = {name: sizes.get(name, getattr(shape, name)) for name in shape.__dataclass_fields__}

    def firsts(name: str, n_rows: int) -> I64:
        return np.tile(np.arange(n[name], dtype=np.int64), (n_rows, 1))

    n_layers = shape.num_hidden_layers
    return Kept(
        firsts("hidden_size", n_layers + 1),
        firsts("intermediate_size", n_layers),
        firsts("num_attention_heads", n_layers),
    )
