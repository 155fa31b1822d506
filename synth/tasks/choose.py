"""The class of each task of a manifest."""

from importlib import import_module

from synth.tasks.task import Task

CLASSES = {
    "reasoning": "reasoning.Reasoning",
    "magpie": "magpie.Magpie",
    "self_instruct": "self_instruct.SelfInstruct",
    "backtranslation": "backtranslation.Backtranslation",
    "grounded_qa": "grounded_qa.GroundedQa",
    "rewrite": "rewrite.Rewrite",
    "translate": "translate.Translate",
    "function_calling": "function_calling.FunctionCalling",
    "multi_turn": "multi_turn.MultiTurn",
    "preferences": "preferences.Preferences",
    "annotations": "annotations.Annotations",
}
"""MODULE.CLASS of each kind; a run loads the one that it needs."""


def task_class(kind: str) -> type[Task]:
    """The class of a kind of task."""
    module, name = CLASSES[kind].split(".")
    found: type[Task] = getattr(import_module(f"synth.tasks.{module}"), name)
    return found
