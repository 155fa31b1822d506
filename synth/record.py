"""The record of a run of synthetic data, `run.json`."""

from manifests.errors import RequestError
from manifests.record import RECORD, RunRecord
from manifests.store import Folder

KIND = "synthesis"


class SynthesisRecord(RunRecord):
    """What was made, of what, by whom."""

    prompts: dict[str, str]
    """Digests of the prompts that were used, by name."""
    usage: dict[str, dict[str, int]]
    """Of each role: requests, those that were answered already, paid, failed; tokens."""
    cost: dict[str, float]
    """Of what this run paid, by role, in the currency of the manifest's prices."""
    rejected: dict[str, dict[str, int]]
    """Samples that are not kept, by stage and reason."""
    n_unanswered: int
    """Items of which something had no answer, and which another run asks for again."""

    @property
    def is_whole(self) -> bool:
        """Whether another run of the same would find nothing to do."""
        return not self.n_unanswered


def read_synthesis(folder: Folder) -> SynthesisRecord:
    """The record of a finished run.

    Raises:
        RequestError: there is none, or it is of another kind.
    """
    if not folder.exists(RECORD):
        raise RequestError(f"{folder.path}: holds no finished run of `onggi synth` (no {RECORD})")
    value = folder.read_json(RECORD)
    if value.get("kind") != KIND:
        raise RequestError(f"{folder.path}: is a run of `kind: {value.get('kind')}`; expected one of `kind: {KIND}`")
    try:
        return SynthesisRecord.model_validate(value)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: not a record that this version of Onggi reads: {error}") from None
