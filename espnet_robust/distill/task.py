"""Distillation as an ESPnet task: ESPnet's options, trainer, logs and resume."""

import argparse
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.trainer import Trainer
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_robust.config import from_mapping
from espnet_robust.distill.adversary import (
    METHODS,
    Adversary,
    AdversaryConfig,
    count_domains,
    domain_labels,
)
from espnet_robust.distill.losses import check_loss_weights
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.speech_model import SpeechModel, load_teacher
from espnet_robust.distill.student import StudentConfig, build_student, describe
from espnet_robust.distill.views import MAPPINGS, Views
from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.errors import ConfigError


class EpochIterFactory(AbsIterFactory):
    """Tells the views which epoch it is before that epoch's workers start."""

    def __init__(self, inner: AbsIterFactory, views: Views, max_epoch: int):
        self.inner = inner
        self.views = views
        self.max_epoch = max_epoch

    def build_iter(self, epoch: int, shuffle: bool | None = None):
        self.views.set_epoch(epoch, progress=(epoch - 1) / self.max_epoch)
        return self.inner.build_iter(epoch, shuffle)


class DistillTrainer(Trainer):
    """ESPnet's trainer; each epoch first tells the model how many updates are done."""

    @classmethod
    def train_one_epoch(cls, model, iterator, reporter, options, **kwargs) -> bool:
        distill_model = getattr(model, "module", model)
        steps = len(iterator)
        distill_model.start_epoch((reporter.epoch - 1) * steps, options.max_epoch * steps)
        return super().train_one_epoch(
            model=model, iterator=iterator, reporter=reporter, options=options, **kwargs
        )


class DistillTask(AbsTask):
    """Distil a frozen teacher into a small student under distortion."""

    num_optimizers = 1
    trainer = DistillTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("Distillation")
        group.add_argument("--teacher", help="hub id or local directory of the teacher")
        group.add_argument(
            "--target_layers",
            type=int,
            nargs="+",
            default=[4, 8, 12],
            help="teacher layers that the student predicts",
        )
        group.add_argument(
            "--target_norm",
            choices=["none", "layer"],
            default="none",
            help="layer: each target frame to zero mean and unit variance over its values",
        )
        group.add_argument(
            "--student_conf", action=NestedDictAction, default={}, help="see StudentConfig"
        )
        group.add_argument(
            "--mapping", choices=MAPPINGS, default="setup2", help="see espnet_robust.distill.views"
        )
        group.add_argument("--distortion", help="YAML of the distortion chain")
        group.add_argument(
            "--valid_distortion", help="the same for the validation set; default: --distortion"
        )
        group.add_argument(
            "--loss_conf",
            action=NestedDictAction,
            default={"l1": 1.0, "cosine": 1.0},
            help="{name of a loss: weight}",
        )
        group.add_argument(
            "--dat",
            choices=["none", *METHODS],
            default="none",
            help="domain adversarial training, see espnet_robust.distill.adversary",
        )
        group.add_argument(
            "--dat_conf", action=NestedDictAction, default={}, help="see AdversaryConfig"
        )
        group.add_argument(
            "--crop_seconds",
            type=float,
            default=15.6,
            help="longer utterances are cropped at random (15.6 s: 250,000 samples)",
        )
        # Filled in by build_model, so that config.yaml holds all that export needs.
        group.add_argument(
            "--student_arch", action=NestedDictAction, default={}, help=argparse.SUPPRESS
        )

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ("speech",)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()

    @classmethod
    def build_collate_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> Callable[
        [Collection[tuple[str, dict[str, np.ndarray]]]], tuple[list[str], dict[str, torch.Tensor]]
    ]:
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=0)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Views:
        distorter = _distorter(args, train)
        teacher = cls._loaded_teacher(args)
        return Views(
            mapping=args.mapping,
            distorter=distorter,
            labels=domain_labels(_kinds(args), _dat_config(args)),
            seed=args.seed,
            crop=int(args.crop_seconds * teacher.rate),
            min_samples=teacher.min_samples,
            train=train,
        )

    @classmethod
    def build_iter_factory(cls, args, distributed_option, mode, kwargs=None) -> AbsIterFactory:
        if args.max_cache_size > 0:
            raise ConfigError("max_cache_size: caching would freeze the distortion; leave it at 0")
        if args.iterator_type != "sequence":
            raise ConfigError(f"iterator_type: {args.iterator_type!r}: use sequence")
        views = cls.build_preprocess_fn(args, train=mode == "train")
        kwargs = {**(kwargs or {}), "preprocess_fn": views}
        factory = super().build_iter_factory(args, distributed_option, mode, kwargs)
        return EpochIterFactory(factory, views, args.max_epoch)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> DistillModel:
        if not args.teacher:
            raise ConfigError("--teacher: name a hub id or a local directory")
        if args.num_att_plot:
            args.num_att_plot = 0  # there is no attention between two sequences to plot
        teacher = cls._loaded_teacher(args)
        # Reading a teacher draws random numbers, having it already does not.
        set_all_random_seed(args.seed)
        student = build_student(
            teacher, from_mapping(args.student_conf, StudentConfig, "student_conf")
        )
        args.student_arch = describe(student)
        adversary = None
        if args.dat != "none":
            dat = _dat_config(args)
            num_domains = count_domains(_kinds(args), dat)
            if num_domains < 2:
                raise ConfigError(f"dat: mapping {args.mapping} yields one domain only")
            sizes = {str(layer): teacher.hidden_size for layer in args.target_layers}
            adversary = Adversary(student.hidden_size, student.num_layers, num_domains, dat, sizes)
        return DistillModel(
            teacher,
            student,
            args.target_layers,
            check_loss_weights(args.loss_conf),
            adversary,
            args.target_norm,
        )

    _teacher: tuple[tuple, SpeechModel] | None = None

    @classmethod
    def _loaded_teacher(cls, args: argparse.Namespace) -> SpeechModel:
        # ESPnet builds preprocessors and model one by one; the teacher is read once for all.
        key = (str(args.teacher), tuple(args.target_layers))
        if cls._teacher is None or cls._teacher[0] != key:
            cls._teacher = (key, load_teacher(args.teacher, args.target_layers))
        return cls._teacher[1]


def _distorter(args: argparse.Namespace, train: bool) -> Distorter | None:
    if args.mapping == "none":
        return None
    path = args.distortion if train else args.valid_distortion or args.distortion
    if not path:
        raise ConfigError(f"mapping {args.mapping} needs --distortion, the YAML of a chain")
    return load_distortion(Path(path))


def _kinds(args: argparse.Namespace) -> tuple[str, ...]:
    """Domains of the training chain; a validation chain may not add any."""
    train, valid = (_distorter(args, train) for train in (True, False))
    if train is None or valid is None:
        return ("clean",)
    if extra := sorted(set(valid.kinds) - set(train.kinds)):
        raise ConfigError(f"{args.valid_distortion}: kinds unknown to training: {', '.join(extra)}")
    return train.kinds


def _dat_config(args: argparse.Namespace) -> AdversaryConfig:
    if "method" in args.dat_conf:
        raise ConfigError("dat_conf: method: name it by --dat")
    method = {} if args.dat == "none" else {"method": args.dat}
    return from_mapping({**args.dat_conf, **method}, AdversaryConfig, "dat_conf")
