"""Make ``frontend: robust_student`` known to every ESPnet task that has a frontend.

Also ``optim: scaled_adamw``, with which the frontend may have its own learning rate.
"""

import importlib

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.tasks.abs_task import optim_classes
from espnet2.train.class_choices import ClassChoices

from espnet_robust.frontend import RobustFrontend
from espnet_robust.optim import ScaledAdamW

FRONTENDS = {"robust_student": RobustFrontend}
OPTIMIZERS = {"scaled_adamw": ScaledAdamW}
TASKS = (
    "asr", "asr_transducer", "slu", "cls", "spk", "lid", "st", "s2t", "s2t_ctc", "diar",
    "hubert", "ssl", "asvspoof", "enh_s2t", "s2st", "uasr",
)  # fmt: skip


def register(tasks: tuple[str, ...] = TASKS) -> int:
    """Add our frontends to the ``frontend_choices`` of each task; returns how many tables have it.

    Idempotent. A task whose own dependencies are not installed is left out.

    Raises:
        RuntimeError: somebody else has taken the name.
    """
    tables = {id(table): table for task in tasks for table in _frontend_tables(task)}
    for table in tables.values():
        _add(FRONTENDS, table.classes)
    _add(OPTIMIZERS, optim_classes)
    return len(tables)


def _add(ours: dict[str, type], table: dict[str, type]) -> None:
    for name, cls in ours.items():
        known = table.setdefault(name, cls)
        if known is not cls:
            raise RuntimeError(f"{name!r} is already registered as {known}")


def _frontend_tables(task: str) -> list[ClassChoices]:
    try:
        module = importlib.import_module(f"espnet2.tasks.{task}")
    except ImportError:
        return []
    choices = [v for v in vars(module).values() if isinstance(v, ClassChoices)]
    return [c for c in choices if c.base_type is AbsFrontend]
