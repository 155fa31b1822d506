"""Which module runs which kind of stage. Each has `run(job, progress) -> Made`, and imports torch only then."""

import importlib
from collections.abc import Callable

from manifests.engine import Progress
from training.jobs import Job, Made

MODULES = {
    "cpt": "training.pretraining.cpt",
    "sft": "training.tuning.sft",
    "reward": "training.preferences.reward",
    "dpo": "training.preferences.dpo",
    "online_dpo": "training.online.online_dpo",
    "distill": "training.distilling.distill",
    "merge": "training.merging.stage",
    "init": "training.new_models",
    "upscale": "training.stacking.stage",
    "prune": "training.pruning.stage",
    "mntp": "training.encoders.mntp",
    "contrast": "training.encoders.contrast",
}

VERSIONS = dict.fromkeys(MODULES, 1) | dict.fromkeys(("reward", "dpo", "online_dpo"), 2)
"""Of what stages make: raised where the same manifest and data would give something else that matters. A finished
stage of another version is done again; days of training are not thrown away for any other change of the code."""


def runner(kind: str) -> Callable[[Job, Progress], Made]:
    """What runs a stage of a kind."""
    found: Callable[[Job, Progress], Made] = importlib.import_module(MODULES[kind]).run
    return found
