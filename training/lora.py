"""Low-rank adaptation of a stage, as peft is told."""

import warnings
from typing import Any, Literal

from manifests.errors import RequestError
from manifests.schema_training_steps import Lora

Task = Literal["CAUSAL_LM", "SEQ_CLS", "FEATURE_EXTRACTION"]


def lora_config(lora: Lora | None, task: Task, new: tuple[str, ...] = ()) -> Any:
    """peft's configuration; None where all weights are trained.

    Args:
        lora: of the manifest.
        task: what the model does.
        new: modules that are trained whole, as the head of a reward model is.

    Raises:
        RequestError: it would adapt the output layer, which TRL's losses read past.
    """
    if lora is None:
        return None
    from peft import LoraConfig

    targets = [lora.targets] if isinstance(lora.targets, str) else lora.targets
    if task == "CAUSAL_LM" and any(target.split(".")[-1] == "lm_head" for target in targets):
        raise RequestError(
            "lora.targets: `lm_head` cannot be adapted here: log-probabilities are computed from its weights, past "
            "the adapter. Leave it out; `all-linear` does"
        )
    return LoraConfig(
        task_type=task,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        modules_to_save=list(new) or None,
    )


def adapted(model: Any, lora: Lora, task: Task = "CAUSAL_LM") -> Any:
    """A model, a causal language model as a rule, of which only low-rank updates are trained.

    Raises:
        RequestError: it has none of the modules that are to be adapted.
    """
    from peft import get_peft_model

    try:
        with warnings.catch_warnings():  # it knows activation checkpointing by its old name only
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            return get_peft_model(model, lora_config(lora, task))
    except ValueError as error:
        raise RequestError(f"lora.targets: {lora.targets}: {error}") from error
