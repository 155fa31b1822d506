"""Which backend the settings of a teacher name."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from manifests.schema_teacher import Teacher as Settings
from synth.teachers.courier import Backend


def backend_of(settings: Settings, log: Path) -> AbstractAsyncContextManager[Backend]:
    """Who is asked, as a context that ends what was started for it.

    Args:
        settings: as `engine.located` has them; with `url`, `serve` or `offline`.
        log: where the output goes of what is started.
    """
    if settings.serve:
        from synth.teachers.serve import OwnServer

        return OwnServer(settings, log)
    if settings.offline:
        from synth.teachers.offline import Offline

        return Offline(settings, log)
    from synth.teachers.teacher_http import Server

    return Server(settings)
