"""Make ``frontend: robust_student`` known to every ESPnet task that has a frontend."""

import importlib

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.train.class_choices import ClassChoices

from espnet_robust.frontend import RobustFrontend

FRONTENDS = {"robust_student": RobustFrontend}
TASKS = (
    "asr", "asr_transducer", "slu", "cls", "spk", "lid", "st", "s2t", "s2t_ctc", "diar",
    "hubert", "ssl", "asvspoof", "enh_s2t",
)  # fmt: skip


def register(tasks: tuple[str, ...] = TASKS) -> int:
    """Add our frontends to the ``frontend_choices`` of each task; returns how many tables have it.

    Idempotent. A task whose own dependencies are not installed is left out.

    Raises:
        RuntimeError: somebody else has taken the name.
    """
    tables = {id(table): table for task in tasks for table in _frontend_tables(task)}
    for table in tables.values():
        for name, frontend in FRONTENDS.items():
            known = table.classes.setdefault(name, frontend)
            if known is not frontend:
                raise RuntimeError(f"{name!r} is already registered as {known}")
    return len(tables)


def _frontend_tables(task: str) -> list[ClassChoices]:
    try:
        module = importlib.import_module(f"espnet2.tasks.{task}")
    except ImportError:
        return []
    choices = [v for v in vars(module).values() if isinstance(v, ClassChoices)]
    return [c for c in choices if c.base_type is AbsFrontend]
