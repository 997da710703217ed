"""Distillation as an ESPnet task, with ESPnet's options, trainer, logs and resuming.

ESPnet calls class methods that share only the arguments, so no state is kept between them: each
reads the configuration from the arguments, which is cheap. The teachers are loaded once, in
``build_model``, which ESPnet calls first. Views and data only need to know the teachers' frames;
those of the student are the same, and ``build_model`` leaves its description in the arguments.
"""

import argparse
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.adversary import Adversary
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.config import DistillConfig
from espnet_robust.distill.data import check_audio_as_read, check_split
from espnet_robust.distill.domains import count_domains, domain_labels
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.options import add_options, parse
from espnet_robust.distill.student_erasure import StudentErasure
from espnet_robust.distill.targets import Targets
from espnet_robust.distill.trainer import DistillTrainer, EpochIterFactory
from espnet_robust.distill.views import Views
from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.models.frames import Frames
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import build_student, describe


class DistillTask(AbsTask):
    """Distil a frozen teacher into a small student under distortion."""

    num_optimizers = 1
    trainer = DistillTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("Distillation")
        add_options(group, DistillConfig)
        parser.set_defaults(best_model_criterion=[("valid", "distill", "min")])
        # Filled in by build_model, so that config.yaml holds everything that export needs.
        group.add_argument(
            "--student_arch", action=NestedDictAction, default={}, help=argparse.SUPPRESS
        )

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        args = args or parse(cls.get_parser(), cmd)
        if not args.print_config:
            if not args.output_dir:
                raise ConfigError("--output_dir: give the directory for the experiment")
            DistillConfig.from_args(args)
        super().main(args=args)

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
        config, frames = DistillConfig.from_args(args), _frames(args)
        return Views(
            mapping=config.mapping_of(train),
            distorter=_distorter(config, train),
            labels=domain_labels(_kinds(config), config.dat_conf),
            seed=args.seed,
            crop=config.crop_samples(frames),
            frames=frames,
            train=train,
            fixed_crops=config.fixed_crops,
            extra=config.needed_views(train),
            mask_prob=config.student_mask_prob,
            mask_length=config.student_mask_length,
        )

    @classmethod
    def build_iter_factory(cls, args, distributed_option, mode, kwargs=None) -> AbsIterFactory:
        split = "train" if mode == "train" else "valid"
        check_split(
            split,
            getattr(args, f"{split}_data_path_and_name_and_type"),
            getattr(args, f"{split}_shape_file"),
            _frames(args).min_samples,
        )
        views = cls.build_preprocess_fn(args, train=mode == "train")
        kwargs = {**(kwargs or {}), "preprocess_fn": views}
        factory = super().build_iter_factory(args, distributed_option, mode, kwargs)
        return EpochIterFactory(factory, views, args.max_epoch)

    @classmethod
    def build_dataset(cls, args, iter_options, keys_to_load=None):
        dataset = super().build_dataset(args, iter_options, keys_to_load)
        check_audio_as_read(dataset, _frames(args).rate)
        return dataset

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> DistillModel:
        config = DistillConfig.from_args(args)
        _set_espnets_options(args, config)
        teachers = [load_teacher(name, config.layers) for name in config.teacher]
        # Loading a teacher may draw random numbers.
        set_all_random_seed(args.seed)
        student = build_student(teachers[0], config.student_conf)
        args.student_arch = describe(student)
        targets = _targets(config, teachers)
        adversary = None if config.dat == "none" else _adversary(config, student, targets)
        if config.student_mask_prob == 0 and hasattr(student.encoder, "masked_spec_embed"):
            student.encoder.masked_spec_embed.requires_grad_(False)  # unused: DDP would wait for it
        erasure = StudentErasure.of(vars(args))
        if erasure:
            erasure.check(student)
        model = DistillModel(
            targets, student, config.loss_conf, adversary, config.ema, config.dtype, erasure,
            config.probes,
        )  # fmt: skip
        if config.compile:
            for encoder in (student.encoder, *(teacher.encoder for teacher in teachers)):
                encoder.compile()
        return model


def _set_espnets_options(args: argparse.Namespace, config: DistillConfig) -> None:
    """Set the ESPnet options that follow from ours."""
    if args.num_att_plot:
        args.num_att_plot = 0  # there is no attention between two sequences to plot
    # DDP would wait for gradients that never come: those of the norm after a pre-norm student's
    # last layer and, with `alternating`, those of the student or the classifier in each step.
    args.unused_parameters = True
    args.use_amp = config.amp == "fp16"  # bf16 needs no scaler


def _frames(args: argparse.Namespace) -> Frames:
    """The frames of student and teachers, once ``build_model`` has run."""
    return Frames.from_description(args.student_arch)


def _targets(config: DistillConfig, teachers: Sequence[SpeechModel]) -> Targets:
    cache = None
    if config.target_cache:
        cache = TargetCache.for_teachers(
            config.target_cache, teachers, config.target_layers, config.amp
        )
    return Targets(teachers, config.target_layers, config.target_norm, cache)


def _adversary(config: DistillConfig, student: SpeechModel, targets: Targets) -> Adversary:
    num_domains = count_domains(_kinds(config), config.dat_conf)
    if num_domains < 2:
        raise ConfigError(f"dat: mapping {config.mapping} yields only one domain")
    sizes = {name: targets.size(name) for name in targets.names}
    return Adversary(student.hidden_size, student.num_layers, num_domains, config.dat_conf, sizes)


def _distorter(config: DistillConfig, train: bool) -> Distorter | None:
    if config.mapping_of(train) == "none":
        return None
    return load_distortion(config.distortion_of(train))


def _kinds(config: DistillConfig) -> tuple[str, ...]:
    """The domains that the adversary distinguishes: those of training; validation adds none."""
    train, valid = (_distorter(config, train) for train in (True, False))
    kinds = ("clean",) if train is None else train.kinds
    extra = sorted(set(valid.kinds if valid else ()) - set(kinds))
    if extra and config.dat != "none":
        raise ConfigError(f"valid_distortion: kinds that are not in training: {', '.join(extra)}")
    return (*kinds, *extra)
