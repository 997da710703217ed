"""Distillation as an ESPnet task: ESPnet's options, trainer, logs and resume."""

import argparse
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_robust.config import from_mapping
from espnet_robust.distill.adversary import (
    METHODS,
    Adversary,
    AdversaryConfig,
    count_domains,
    domain_labels,
)
from espnet_robust.distill.data import check_audio_as_read, check_split
from espnet_robust.distill.losses import check_loss_weights
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.options import parse
from espnet_robust.distill.speech_model import SpeechModel, load_teacher
from espnet_robust.distill.student import StudentConfig, build_student, describe
from espnet_robust.distill.targets import Targets
from espnet_robust.distill.trainer import DistillTrainer, EpochIterFactory
from espnet_robust.distill.views import MAPPINGS, Views
from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.errors import ConfigError


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
            "--statistics_batches",
            type=int,
            default=100,
            help="batches of the first epoch over which target_norm statistics are taken",
        )
        group.add_argument(
            "--student_conf", action=NestedDictAction, default={}, help="see StudentConfig"
        )
        group.add_argument(
            "--mapping", choices=MAPPINGS, default="setup2", help="see espnet_robust.distill.views"
        )
        group.add_argument("--distortion", help="YAML of the distortion chain")
        group.add_argument(
            "--valid_mapping",
            choices=MAPPINGS,
            help="that of the validation set, which picks the best epoch; default: --mapping",
        )
        group.add_argument(
            "--valid_distortion", help="the chain of the validation set; default: --distortion"
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
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        args = args or parse(cls.get_parser(), cmd)
        if not (args.output_dir or args.print_config):
            raise ConfigError("--output_dir: where is the experiment to be written?")
        if args.ngpu > 1 and not args.multiprocessing_distributed:
            raise ConfigError(f"ngpu {args.ngpu}: add --multiprocessing_distributed true")
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
        distorter = _distorter(args, train)
        teacher = cls._loaded_teacher(args)
        return Views(
            mapping=_mapping(args, train),
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
        split = "train" if mode == "train" else "valid"
        check_split(
            split,
            getattr(args, f"{split}_data_path_and_name_and_type"),
            getattr(args, f"{split}_shape_file"),
            cls._loaded_teacher(args).min_samples,
        )
        views = cls.build_preprocess_fn(args, train=mode == "train")
        kwargs = {**(kwargs or {}), "preprocess_fn": views}
        factory = super().build_iter_factory(args, distributed_option, mode, kwargs)
        return EpochIterFactory(factory, views, args.max_epoch)

    @classmethod
    def build_dataset(cls, args, iter_options, keys_to_load=None):
        dataset = super().build_dataset(args, iter_options, keys_to_load)
        check_audio_as_read(dataset, cls._loaded_teacher(args).rate)
        return dataset

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
        targets = Targets([teacher], args.target_layers, args.target_norm)
        adversary = None
        if args.dat != "none":
            dat = _dat_config(args)
            num_domains = count_domains(_kinds(args), dat)
            if num_domains < 2:
                raise ConfigError(f"dat: mapping {args.mapping} yields one domain only")
            sizes = {name: targets.size(name) for name in targets.names}
            adversary = Adversary(student.hidden_size, student.num_layers, num_domains, dat, sizes)
        return DistillModel(targets, student, check_loss_weights(args.loss_conf), adversary)

    _teacher: tuple[tuple, SpeechModel] | None = None

    @classmethod
    def _loaded_teacher(cls, args: argparse.Namespace) -> SpeechModel:
        # ESPnet builds preprocessors and model one by one; the teacher is read once for all.
        key = (str(args.teacher), tuple(args.target_layers))
        if cls._teacher is None or cls._teacher[0] != key:
            cls._teacher = (key, load_teacher(args.teacher, args.target_layers))
        return cls._teacher[1]


def _mapping(args: argparse.Namespace, train: bool) -> str:
    return args.mapping if train else args.valid_mapping or args.mapping


def _distorter(args: argparse.Namespace, train: bool) -> Distorter | None:
    mapping = _mapping(args, train)
    if mapping == "none":
        return None
    path = args.distortion if train else args.valid_distortion or args.distortion
    if not path:
        raise ConfigError(
            f"mapping {mapping} needs --distortion, the YAML of a chain"
            if train
            else f"valid_mapping {mapping} needs --valid_distortion, the YAML of a chain"
        )
    return load_distortion(Path(path))


def _kinds(args: argparse.Namespace) -> tuple[str, ...]:
    """Domains that the adversary tells apart: those of training; validation may not add any."""
    train, valid = (_distorter(args, train) for train in (True, False))
    kinds = ("clean",) if train is None else train.kinds
    extra = sorted(set(valid.kinds if valid else ()) - set(kinds))
    if extra and args.dat != "none":
        raise ConfigError(f"{args.valid_distortion}: kinds unknown to training: {', '.join(extra)}")
    return (*kinds, *extra)


def _dat_config(args: argparse.Namespace) -> AdversaryConfig:
    if "method" in args.dat_conf:
        raise ConfigError("dat_conf: method: name it by --dat")
    method = {} if args.dat == "none" else {"method": args.dat}
    return from_mapping({**args.dat_conf, **method}, AdversaryConfig, "dat_conf")
