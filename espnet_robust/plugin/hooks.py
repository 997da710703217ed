"""Hooks that let ESPnet's tasks use ``preprocessor: distorting`` and check ``freeze_param``.

ESPnet does not tell a preprocessor the epoch or whether it serves validation or inference, lets
only some tasks choose their preprocessor, and ignores a ``freeze_param`` that freezes nothing. So
``register()`` replaces four class methods and two functions, once per process. Each replacement
calls the original and behaves like it unless our features are used:

    TASK.add_task_arguments      adds ``--preprocessor`` and ``--preprocessor_conf`` to every task
    TASK.build_preprocess_fn     in training, distorts before the task's own preprocessor
    AbsTask.build_iter_factory   distorts in validation too, and tells the preprocessor the epoch
    AbsTask.build_optimizers     checks a ``freeze_param`` for our frontend
    abs_task.create_adapter      refuses an adapter that our frontend cannot have
    abs_task.load_pretrained_model   takes weights, not the count of ``freeze_steps``
"""

import argparse
import functools
from collections.abc import Callable, Iterable, Iterator

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks import abs_task
from espnet2.tasks.abs_task import AbsTask
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_robust.common.errors import ConfigError, one_line_errors
from espnet_robust.data.audio import RATE
from espnet_robust.data.turns import number_turns
from espnet_robust.plugin.adapters import check_adapter
from espnet_robust.plugin.checked_audio import rate_of
from espnet_robust.plugin.familiar import check_freeze_param
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.preprocessor import (
    NAME,
    DistortingPreprocessor,
    is_distorting,
    make_preprocessor,
    without_us,
)

_HOOKED = "_espnet_robust_hooked"


class EpochIterFactory(AbsIterFactory):
    """Tells the preprocessor the epoch, before its workers start, and each utterance's turn."""

    def __init__(self, inner: AbsIterFactory, preprocessor: DistortingPreprocessor, max_epoch: int):
        self.inner = inner
        self.preprocessor = preprocessor
        self.max_epoch = max_epoch

    def build_iter(self, epoch: int, shuffle: bool | None = None):
        self.preprocessor.set_epoch(epoch, progress=(epoch - 1) / self.max_epoch)
        batches = self.inner.build_iter(epoch, shuffle)
        return _Batches(number_turns(batches, [self.preprocessor]))


class _Batches:
    """Unchanged batches; an utterance that cannot be distorted gives a one-line error."""

    def __init__(self, batches: Iterable):
        self.batches = batches

    def __iter__(self) -> Iterator:
        return one_line_errors(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def hook_task(task: type[AbsTask], choices: ClassChoices | None) -> None:
    """Let a task use the distorting preprocessor. Idempotent.

    Args:
        choices: the task's own table of preprocessors, or None.
    """
    if _HOOKED in vars(task):
        return
    setattr(task, _HOOKED, True)
    if choices is not None:
        choices.classes[NAME] = DistortingPreprocessor
    default = choices.default if choices is not None else None
    add_task_arguments, build_preprocess_fn = task.add_task_arguments, task.build_preprocess_fn

    def with_option(cls, parser: argparse.ArgumentParser):
        add_task_arguments.__func__(cls, parser)
        if choices is None and parser.get_default("preprocessor_conf") is None:
            add_options(parser)

    def with_distortion(cls, args: argparse.Namespace, train: bool):
        if not is_distorting(args):
            return build_preprocess_fn.__func__(cls, args, train)
        inner_args = without_us(args, default)
        try:
            inner = build_preprocess_fn.__func__(cls, inner_args, train)
        except TypeError as e:  # a key that the inner preprocessor does not know, or lacks
            raise ConfigError(f"preprocessor_conf: {e}") from e
        return make_preprocessor(args, inner, train) if train else inner

    task.add_task_arguments = classmethod(with_option)
    task.build_preprocess_fn = classmethod(with_distortion)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a task with a choice of preprocessors to a task without one."""
    group = parser.add_argument_group(description="Preprocessor")
    group.add_argument("--preprocessor", default="default", choices=("default", NAME))
    group.add_argument("--preprocessor_conf", action=NestedDictAction, default={})


def hook_all_tasks() -> None:
    """Make tasks tell the epoch, distort in validation and check two options. Idempotent."""
    if _HOOKED in vars(AbsTask):
        return
    setattr(AbsTask, _HOOKED, True)
    original, build = AbsTask.build_iter_factory.__func__, AbsTask.build_optimizers.__func__

    def build_iter_factory(cls, args, distributed_option, mode, kwargs=None) -> AbsIterFactory:
        if not is_distorting(args):
            return original(cls, args, distributed_option, mode, kwargs)
        train = mode == "train"
        _check(args, train)
        preprocessor = cls.build_preprocess_fn(args, train=train)
        if not train:
            preprocessor = make_preprocessor(args, preprocessor, train)
        kwargs = {**(kwargs or {}), "preprocess_fn": preprocessor}
        factory = original(cls, args, distributed_option, mode, kwargs)
        return EpochIterFactory(factory, preprocessor, args.max_epoch)

    def build_optimizers(cls, args: argparse.Namespace, model: torch.nn.Module):
        for frontend in model.modules():
            if isinstance(frontend, RobustFrontend):
                check_freeze_param(args, model, frontend.freeze)
                if not frontend.freeze:
                    # For DDP, which would wait for their gradients: what trains only after
                    # freeze_steps, and the norm after a pre-norm model's last layer.
                    args.unused_parameters = True
        return build(cls, args, model)

    create = abs_task.create_adapter

    def create_adapter(model: torch.nn.Module, adapter: str, conf: dict) -> None:
        check_adapter(model, adapter, conf, RobustFrontend)
        create(model, adapter, conf)

    abs_task.load_pretrained_model = _keeping_counts(abs_task.load_pretrained_model)
    abs_task.create_adapter = create_adapter
    AbsTask.build_iter_factory = classmethod(build_iter_factory)
    AbsTask.build_optimizers = classmethod(build_optimizers)


def _keeping_counts(load: Callable) -> Callable:
    """``load``, ESPnet's ``load_pretrained_model``, with which ``freeze_steps`` counts anew."""

    @functools.wraps(load)
    def load_pretrained_model(init_param: str, model: torch.nn.Module, *args, **kwargs) -> None:
        frontends = [m for m in model.modules() if isinstance(m, RobustFrontend)]
        for frontend in frontends:
            frontend.keeps_count = True
        try:
            load(init_param, model, *args, **kwargs)
        finally:
            for frontend in frontends:
                frontend.keeps_count = False

    return load_pretrained_model


def _check(args: argparse.Namespace, train: bool) -> None:
    """Raise ConfigError if distortions would be cached, or if the model has another rate."""
    if train and args.max_cache_size > 0:
        raise ConfigError(
            f"max_cache_size: caching would repeat an epoch's distortions (preprocessor: {NAME}); "
            "leave it at 0"
        )
    if (rate := rate_of(args)) != RATE:
        raise ConfigError(
            f"frontend_conf: fs: {rate} Hz, but preprocessor: {NAME} works at {RATE} Hz"
        )
