"""What is measured of models: loss on held-out text, multiple-choice accuracy, answers to prompts and their rewards.

It runs in a process of its own, with torch; the process that runs the stages is told plain figures
(`training.measure_jobs`). What a model came to on a set is kept in a folder by the digests of both, so that no model
is measured twice.
"""

from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_training_gates import Validation
from training.log_likelihood import TOKENS_AT_ONCE, Row, log_likelihoods
from training.measure_cache import Cache, model_digest
from training.measure_jobs import Measured, MeasureJob, MeasuresResult
from training.mixture_ids import why_other_ids
from training.summary_models import Measures
from training.uncertainty import ratio_error, wilson
from training.validation_sets import data_digest, documents_of, held_out_of, questions_of, letters_prompt
