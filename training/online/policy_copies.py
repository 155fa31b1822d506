"""Copies of a policy that follow it only when they are told to: who draws answers, and what it is held to.

What is not trained is shared with the policy and costs nothing (with LoRA that is nearly all of it); what is trained
is there a second time. Weights that are sharded over processes are gathered, so that each process's copy is whole.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

WRAPPINGS = ("_checkpoint_wrapped_module.", "_orig_mod.", "_fsdp_wrapped_module.", "module.")
"""What wrappers of torch and accelerate put before names of weights."""


class PolicyCopy:
    """A copy of a policy, without gradients and without dropout."""

    def __init__(
        self, policy: nn.Module, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> None:
        """Copy a policy, with the weights that it has.

        Args:
            policy: a model of transformers or peft, before it is sharded.
            dtype: another type of the copy's weights, which then shares none of them. Buffers keep theirs: in
                bfloat16 the frequencies of rotary embeddings would be other positions, after some hundred tokens.
            device: where the copy goes; it shares nothing with a policy that is elsewhere, as one is that FSDP will
                share out among GPUs.
        """
        is_beside = device is None or all(one.device == device for one in policy.parameters())
        fixed = [one for one in policy.parameters() if not one.requires_grad and is_beside and not dtype]
        shared = {id(one): one for one in fixed}
        self.model: Any = copy.deepcopy(policy, dict(shared)).eval()
        self.model.requires_grad_(False)
        if not is_beside:
            self.model.to(device)
        if dtype:
            for weight in self.model.parameters():
                weight.data = weight.data.to(dtype)
        trained = [name for name, one in policy.named_parameters() if one.requires_grad]
        mine = {id(one) for one in shared.values()}
        parameters = dict(self.model.named_parameters())
        self._followed = {_plain(name): parameters[name] for name in trained if id(parameters[name]) not in mine}

    @property
    def size_bytes(self) -> int:
        """Memory of the weights that it has for itself."""
        seen = {one.data_ptr(): one.numel() * one.element_size() for one in self._followed.values()}
        return sum(seen.values())

    def take(self, policy: nn.Module) -> None:
        """Take the policy's weights as they are now. With sharded weights all processes must call it."""
        with torch.no_grad():
            for name, weight in policy.named_parameters():
                if weight.requires_grad:
                    self._followed[_plain(name)].copy_(whole(weight))

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights that it has for itself, for a checkpoint."""
        return {name: weight.detach().cpu() for name, weight in self._followed.items()}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Take weights from a checkpoint."""
        with torch.no_grad():
            for name, weight in self._followed.items():
                weight.copy_(weights[name])


def whole(weight: torch.Tensor) -> torch.Tensor:
    """A weight, gathered where it is sharded over processes."""
    gathered = getattr(weight, "full_tensor", None)
    return gathered() if gathered else weight


def _plain(name: str) -> str:
    for wrapping in WRAPPINGS:
        name = name.replace(wrapping, "")
    return name


def merged_weights(policy: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The policy's weights by the names of its checkpoint, each once, one at a time, with low-rank updates added.

    Raises:
        NotImplementedError: an adapted layer is none that has a `get_delta_weight`.
    """
    seen = set[int]()
    for module_name, module in policy.named_modules():
        adapted = hasattr(module, "get_base_layer")
        for name, weight in module.named_parameters(recurse=False):
            full = f"{module_name}.{name}" if module_name else name
            if ".base_layer" in full or "lora_" in full or id(weight) in seen:
                continue
            seen.add(id(weight))
            yield _of_checkpoint(full), whole(weight.detach())
        if adapted:
            yield from _merged(module_name, module)


def _merged(module_name: str, module: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for name, weight in module.get_base_layer().named_parameters():
        value = whole(weight.detach())
        if name == "weight":
            value = value + sum(module.get_delta_weight(one) for one in module.active_adapters)
        yield _of_checkpoint(f"{module_name}.{name}"), value


def _of_checkpoint(name: str) -> str:
    return _plain(name).removeprefix("base_model.model.")
