"""Register ``frontend: robust_student`` with every ESPnet task that has a frontend.

Also registers ``encoder: blstm``, for fast training on a CPU, ``normalize: running_mean`` and
``ctc_conf: {blank_bias: ...}``, for streams, ``optim: scaled_adamw``, which gives the frontend its
own learning rate, and ``preprocessor: distorting``, for training on distorted speech.
"""

import importlib
from types import ModuleType

from espnet2.asr.encoder.abs_encoder import AbsEncoder
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.layers.abs_normalize import AbsNormalize
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.train.class_choices import ClassChoices
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_robust.plugin import checked_audio
from espnet_robust.plugin.blstm import BLSTMEncoder
from espnet_robust.plugin.ctc import add_blank_bias
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.hooks import hook_all_tasks, hook_task
from espnet_robust.plugin.optim import ScaledAdamW
from espnet_robust.plugin.quantization import hook_quantization
from espnet_robust.plugin.running_mean import RunningMean
from espnet_robust.plugin.training import hook_trainings

FRONTENDS = {"robust_student": RobustFrontend}
ENCODERS = {"blstm": BLSTMEncoder}
NORMALIZATIONS = {"running_mean": RunningMean}
OPTIMIZERS = {"scaled_adamw": ScaledAdamW}
TASKS = (
    "asr", "asr_transducer", "slu", "cls", "spk", "lid", "st", "s2t", "s2t_ctc", "diar",
    "hubert", "ssl", "asvspoof", "enh_s2t", "s2st", "uasr", "aqa",
)  # fmt: skip


def register(tasks: tuple[str, ...] = TASKS) -> int:
    """Add our frontend to the ``frontend_choices`` of each task, and our encoder to its encoders.

    From then on ESPnet reads audio as we do (``checked_audio.py``), and its trainings save all or
    nothing after each epoch (``training.py``). Idempotent. A task whose own dependencies are not
    installed is skipped.

    Returns:
        The number of frontend tables that have our frontend.

    Raises:
        RuntimeError: the name is already registered for another class.
    """
    modules = list(filter(None, map(_module, tasks)))
    choices = {id(table): table for module in modules for table in _choices(module)}.values()
    for module in modules:
        register_module(module)
        add_blank_bias(module)
        _hook(module)
    _add(OPTIMIZERS, optim_classes)
    checked_audio.install()
    hook_trainings()
    hook_quantization()
    return sum(table.base_type is AbsFrontend for table in choices)


def register_module(module: ModuleType) -> None:
    """Add our frontend, encoder and normalisation to the tables of a task's module."""
    for table in _choices(module):
        if table.base_type is AbsFrontend:
            _add(FRONTENDS, table.classes)
        if table.base_type is AbsEncoder:
            _add(ENCODERS, table.classes)
        if table.base_type is AbsNormalize:
            _add(NORMALIZATIONS, table.classes)


def _add(ours: dict[str, type], table: dict[str, type]) -> None:
    for name, cls in ours.items():
        known = table.setdefault(name, cls)
        if known is not cls:
            raise RuntimeError(f"{name!r} is already registered as {known}")


def _module(task: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"espnet2.tasks.{task}")
    except ImportError:
        return None


def _choices(module: ModuleType) -> list[ClassChoices]:
    return [v for v in vars(module).values() if isinstance(v, ClassChoices)]


def _hook(module: ModuleType) -> None:
    """Register ``preprocessor: distorting`` with the tasks that a module defines."""
    preprocessors = [c for c in _choices(module) if c.base_type is AbsPreprocessor]
    for cls in list(vars(module).values()):
        own = isinstance(cls, type) and cls.__module__ == module.__name__
        if own and issubclass(cls, AbsTask):
            hook_task(cls, preprocessors[0] if preprocessors else None)
    hook_all_tasks()
