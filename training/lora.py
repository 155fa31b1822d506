"""Low-rank adaptation (peft) of a model, as the manifest says it."""

import warnings
from typing import Any

from manifests.errors import RequestError
from manifests.schema_training_steps import Lora


def lora_config(spec: Lora, task: str = "CAUSAL_LM") -> Any:
    """What peft is told.

    Args:
        spec: of the manifest.
        task: peft's name of what the model is for; `SEQ_CLS` trains the head of a reward model as well.
    """
    from peft import LoraConfig

    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=spec.targets,
        task_type=task,
    )


def adapted(model: Any, spec: Lora) -> Any:
    """A model of transformers of which only low-rank updates are trained.

    Raises:
        RequestError: it has none of the modules that are to be adapted.
    """
    from peft import get_peft_model

    try:
        with warnings.catch_warnings():  # it knows activation checkpointing by its old name only
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            return get_peft_model(model, lora_config(spec))
    except ValueError as error:
        raise RequestError(f"lora.targets: {spec.targets}: {error}") from error
