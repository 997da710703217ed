"""Distillation as an ESPnet task: ESPnet's options, trainer, logs and resume."""

import argparse
import importlib.util
import os
import shutil
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool

from espnet_robust.config import from_mapping
from espnet_robust.distill.adversary import (
    METHODS,
    Adversary,
    AdversaryConfig,
    count_domains,
    domain_labels,
)
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.data import check_audio_as_read, check_split
from espnet_robust.distill.denoise import Denoiser
from espnet_robust.distill.losses import DENOISE, check_loss_weights
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.options import parse
from espnet_robust.distill.targets import NORMS, Targets
from espnet_robust.distill.trainer import DistillTrainer, EpochIterFactory
from espnet_robust.distill.views import MAPPINGS, Views
from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.errors import ConfigError
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import StudentConfig, build_student, describe

AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class DistillTask(AbsTask):
    """Distil a frozen teacher into a small student under distortion."""

    num_optimizers = 1
    trainer = DistillTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("Distillation")
        group.add_argument(
            "--teacher",
            nargs="+",
            help="hub id or local directory; with several the student is built from the first",
        )
        group.add_argument(
            "--target_layers",
            type=int,
            nargs="+",
            default=[4, 8, 12],
            help="teacher layers that the student predicts; in a YAML also groups to be averaged: "
            "[4, [8, 9, 10, 11, 12]]",
        )
        group.add_argument(
            "--target_norm",
            choices=NORMS,
            default="none",
            help="layer: each target frame to zero mean and unit variance over its values; "
            "statistics: each value over the frames of a pass over data",
        )
        group.add_argument(
            "--statistics_batches",
            type=int,
            default=100,
            help="batches of the first epoch over which target_norm statistics are taken",
        )
        group.add_argument(
            "--target_cache",
            metavar="DIR",
            help="keep the teachers' answers there and look them up, in this run and all others; "
            "with mapping none or setup1 and --fixed_crops true. 0.8 GB an hour of speech with 3 "
            "layers of 768",
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
        group.add_argument(
            "--fixed_crops",
            type=str2bool,
            default=False,
            help="crop an utterance alike in all epochs",
        )
        group.add_argument(
            "--student_mask_prob",
            type=float,
            default=0.0,
            help="share of the student's input frames that are masked, in spans",
        )
        group.add_argument(
            "--student_mask_length", type=int, default=10, help="frames in a masked span"
        )
        group.add_argument(
            "--ema",
            type=float,
            default=0.0,
            help="decay of a moving average of the student, which is then validated and exported; "
            "for example 0.999; 0: none",
        )
        group.add_argument(
            "--amp",
            choices=AMP,
            default="none",
            help="precision of teachers and student; the losses stay in fp32. fp16 needs a GPU and "
            "turns on ESPnet's gradient scaler. Instead of --use_amp, which leaves no choice",
        )
        group.add_argument(
            "--compile",
            type=str2bool,
            default=False,
            help="torch.compile teachers and student: minutes at the start, faster steps",
        )
        parser.set_defaults(best_model_criterion=[("valid", "distill", "min")])
        # Filled in by build_model, so that config.yaml holds all that export needs.
        group.add_argument(
            "--student_arch", action=NestedDictAction, default={}, help=argparse.SUPPRESS
        )

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        args = args or parse(cls.get_parser(), cmd)
        cls._teachers = None  # their files may have changed since an earlier run
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
        teacher = cls._loaded_teachers(args)[0]
        return Views(
            mapping=_mapping(args, train),
            distorter=distorter,
            labels=domain_labels(_kinds(args), _dat_config(args)),
            seed=args.seed,
            crop=int(args.crop_seconds * teacher.rate),
            min_samples=teacher.min_samples,
            train=train,
            fixed_crops=args.fixed_crops,
            clean=DENOISE in args.loss_conf,
            mask_prob=args.student_mask_prob,
            mask_length=args.student_mask_length,
            num_frames=teacher.num_frames,
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
            cls._loaded_teachers(args)[0].min_samples,
        )
        views = cls.build_preprocess_fn(args, train=mode == "train")
        kwargs = {**(kwargs or {}), "preprocess_fn": views}
        try:
            factory = super().build_iter_factory(args, distributed_option, mode, kwargs)
        except RuntimeError as e:  # a batch with fewer utterances than processes
            raise ConfigError(f"batches of {split}: {' '.join(str(e).split())}") from e
        return EpochIterFactory(factory, views, args.max_epoch)

    @classmethod
    def build_dataset(cls, args, iter_options, keys_to_load=None):
        dataset = super().build_dataset(args, iter_options, keys_to_load)
        check_audio_as_read(dataset, cls._loaded_teachers(args)[0].rate)
        return dataset

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> DistillModel:
        _check_combinations(args)
        if args.num_att_plot:
            args.num_att_plot = 0  # there is no attention between two sequences to plot
        if args.dat == "alternating":
            args.unused_parameters = True  # in each step, of student or classifier: for DDP
        args.use_amp = args.amp == "fp16"  # bf16 needs no scaler
        teachers = cls._loaded_teachers(args)
        # Reading a teacher draws random numbers, having it already does not.
        set_all_random_seed(args.seed)
        student = build_student(
            teachers[0], from_mapping(args.student_conf, StudentConfig, "student_conf")
        )
        args.student_arch = describe(student)
        cache = None
        if args.target_cache:
            cache = TargetCache.for_teachers(
                args.target_cache, teachers, args.target_layers, args.amp
            )
        targets = Targets(teachers, args.target_layers, args.target_norm, cache)
        weights = check_loss_weights(args.loss_conf)
        adversary = None
        if args.dat != "none":
            dat = _dat_config(args)
            num_domains = count_domains(_kinds(args), dat)
            if num_domains < 2:
                raise ConfigError(f"dat: mapping {args.mapping} yields one domain only")
            sizes = {name: targets.size(name) for name in targets.names}
            adversary = Adversary(student.hidden_size, student.num_layers, num_domains, dat, sizes)
        denoiser = Denoiser(student) if DENOISE in weights else None
        if args.student_mask_prob == 0 and hasattr(student.encoder, "masked_spec_embed"):
            student.encoder.masked_spec_embed.requires_grad_(False)  # unused: DDP would wait for it
        model = DistillModel(targets, student, weights, adversary, denoiser, args.ema)
        _check_criteria(args.best_model_criterion, model)
        model.amp = AMP[args.amp]
        if args.compile:
            for encoder in (student.encoder, *(teacher.encoder for teacher in teachers)):
                encoder.compile()
        return model

    _teachers: tuple[str, list[SpeechModel]] | None = None

    @classmethod
    def _loaded_teachers(cls, args: argparse.Namespace) -> list[SpeechModel]:
        # ESPnet builds preprocessors and model one by one; the teachers are read once for all.
        key = f"{args.teacher} {args.target_layers}"
        if cls._teachers is None or cls._teachers[0] != key:
            layers = _flatten(args.target_layers)
            cls._teachers = (key, [load_teacher(name, layers) for name in _teacher_names(args)])
        return cls._teachers[1]


def _teacher_names(args: argparse.Namespace) -> list[str]:
    names = [args.teacher] if isinstance(args.teacher, str) else args.teacher
    if not names:
        raise ConfigError("--teacher: name a hub id or a local directory")
    return names


def _flatten(layers: Sequence[int | Sequence[int]]) -> list[int]:
    try:
        flat = [i for layer in layers for i in ([layer] if isinstance(layer, int) else layer)]
    except TypeError:
        flat = [None]
    if not all(isinstance(layer, int) for layer in flat):
        raise ConfigError(f"target_layers: {layers} is not a list of layers or of groups of them")
    return flat


def _check_combinations(args: argparse.Namespace) -> None:
    """ConfigError where one option makes another senseless."""
    if not (args.ema == 0 or 0 < args.ema < 1):
        raise ConfigError(f"ema: {args.ema} is not a decay in (0, 1), nor 0 for none")
    if args.accum_grad < 1:
        raise ConfigError(f"accum_grad: need at least 1, got {args.accum_grad}")
    if args.use_amp and args.amp == "none":
        raise ConfigError("use_amp: say `amp: bf16` or `amp: fp16` instead")
    if args.amp == "fp16" and args.ngpu == 0:
        raise ConfigError("amp: fp16 needs a GPU (--ngpu 1); use bf16 or none")
    if args.compile:
        _check_compiler(on_gpu=args.ngpu > 0)
    if args.target_norm == "statistics" and args.statistics_batches < 1:
        raise ConfigError(f"statistics_batches: need at least 1, got {args.statistics_batches}")
    if not args.target_cache:
        return
    if args.mapping not in ("none", "setup1"):
        raise ConfigError(
            f"target_cache: with mapping {args.mapping} the teacher hears something new each "
            "epoch; use none or setup1"
        )
    if not args.fixed_crops:
        raise ConfigError("target_cache: random crops are new each epoch; add `fixed_crops: true`")
    if args.target_norm == "statistics":
        raise ConfigError("target_cache: not with target_norm statistics; use none or layer")


def _check_criteria(criteria: Sequence[Sequence[str]], model: DistillModel) -> None:
    """ConfigError where best_model_criterion names what no epoch reports."""
    known = {"loss", "distill", *model.loss_weights}
    if model.adversary is not None:
        known |= {"domain_loss", "domain_acc", "domain_lambda"}
    for criterion in criteria:
        split, name, mode = [*criterion, None, None, None][:3]
        if split not in ("train", "valid") or name not in known or mode not in ("min", "max"):
            raise ConfigError(
                f"best_model_criterion: {list(criterion)}: need [train or valid, one of "
                f"{', '.join(sorted(known))}, min or max]"
            )


def _check_compiler(on_gpu: bool) -> None:
    """ConfigError where torch.compile would fail in the first step."""
    compiler = os.environ.get("CC", "gcc") if on_gpu else os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise ConfigError(f"compile: needs a compiler, there is no {compiler}; install one")
    if on_gpu and not importlib.util.find_spec("triton"):
        raise ConfigError("compile: needs the package triton on a GPU; install it")


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
    return load_distortion(path)


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
