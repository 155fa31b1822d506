"""Layers that change nothing at first: what each of their halves adds is 0.

Where a half ends in a projection, that is 0. Where a norm follows it (Gemma 2 and 3), the norm's scale is, and the
projection stays: behind a norm, the smallest number is as large as any other, so a projection of 0 would answer at
full strength after the first step.
"""

from collections.abc import Mapping

import numpy as np

from manifests.errors import RequestError
from training.model_files import Checkpoint
from training.safetensors_files import DTYPES, Tensor, to_stored
from training.stacking.config import text_part

PROJECTIONS = ("self_attn.o_proj", "mlp.down_proj")
NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
"""That follow the halves, where there is the second; otherwise the first stands before the MLP."""


def silencing(checkpoint: Checkpoint, layer: Mapping[str, Tensor]) -> dict[str, bytes]:
    """The number that some tensors of a layer get, as it is stored, by name, so that the layer changes nothing.

    Raises:
        RequestError: it is not known how.
    """
    is_normed = f"{NORMS[1]}.weight" in layer
    ends, value = (NORMS, _off(checkpoint)) if is_normed else (PROJECTIONS, 0.0)
    names = [f"{end}.{of}" for end in ends for of in ("weight", "bias") if f"{end}.{of}" in layer]
    if any(f"{end}.weight" not in names for end in ends):
        raise RequestError(
            f"{checkpoint.name}: start: identity: a layer has no tensors "
            f"{' and '.join(f'{end}.weight' for end in ends)}; found {', '.join(list(layer)[:5])}; take `start: copy`"
        )
    if wrong := [name for name in names if layer[name].dtype not in DTYPES]:
        raise RequestError(f"{checkpoint.name}: start: identity: {wrong[0]} holds {layer[wrong[0]].dtype}, no floats")
    return {
        name: to_stored(np.array([value if name.endswith("weight") else 0.0]), layer[name].dtype).tobytes()
        for name in names
    }


def _off(checkpoint: Checkpoint) -> float:
    """The weight with which a norm's scale is 0: Gemma's is 1 + w."""
    is_gemma = str(text_part(dict(checkpoint.config)).get("model_type")).startswith("gemma")
    return -1.0 if is_gemma else 0.0
