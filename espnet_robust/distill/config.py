"""The configuration of a distillation: the options of a YAML besides ESPnet's own.

The options of ``distill_train`` are made from the fields of ``DistillConfig`` (``add_options`` in
``options.py``). Every error in them, alone, in combination or with ESPnet's options, is found here
and nowhere else. Only errors that need the teacher or the data (a layer beyond its depth) are found
where these are read.
"""

import argparse
import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from espnet_robust.common.config import from_mapping
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.merging import as_options
from espnet_robust.distill.checks import check_numbers
from espnet_robust.distill.domains import METHODS, AdversaryConfig
from espnet_robust.distill.erasure import EraseConfig
from espnet_robust.distill.losses import check_loss_weights, needed_views
from espnet_robust.distill.targets import NORMS
from espnet_robust.distill.views import CLEAN, MAPPINGS
from espnet_robust.models.frames import Frames
from espnet_robust.models.student import StudentConfig

AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
Layers = Sequence[int | Sequence[int]]


def _option(default: Any, help: str, **keywords: Any) -> Any:
    """A field with the help of its option; ``keywords`` go to ``add_argument``."""
    return field(default=default, metadata={"help": help, **keywords})


@dataclass(frozen=True)
class DistillConfig:
    """The options of one distillation, each explained by its help text.

    Raises:
        ConfigError: a value is out of range or contradicts another one.
    """

    teacher: Sequence[str] | None = _option(
        None,
        "hub id or local directory; of several, the first initialises the student",
    )
    target_layers: Layers = field(
        default_factory=lambda: [4, 8, 12],
        metadata={
            "help": "teacher layers that the student predicts; in a YAML also groups to "
            "average: [4, [8, 9, 10, 11, 12]]",
            "type": int,
        },
    )
    target_norm: str = _option(
        "none",
        "layer: scale each target frame to zero mean and unit variance over its dimensions; "
        "statistics: scale each dimension over all frames of a pass over the data",
        choices=NORMS,
    )
    statistics_batches: int = _option(
        100, "number of batches of the first epoch used for target_norm statistics"
    )
    target_cache: str | None = _option(
        None,
        "directory in which to store the teachers' targets, for this run and others; needs "
        "mapping none or setup1, and --fixed_crops true. 0.8 GB per hour of speech with 3 layers "
        "of 768",
        metavar="DIR",
    )
    student_conf: StudentConfig = field(
        default_factory=StudentConfig, metadata={"help": "see StudentConfig"}
    )
    mapping: str = _option("setup2", "see espnet_robust.distill.views", choices=MAPPINGS)
    distortion: str | Mapping[str, Any] | None = _option(
        None, "distortion YAML; in a YAML also its content"
    )
    valid_mapping: str | None = _option(
        None,
        "mapping for the validation set, which selects the best epoch; default: --mapping",
        choices=MAPPINGS,
    )
    valid_distortion: str | Mapping[str, Any] | None = _option(
        None, "distortion of the validation set; default: --distortion"
    )
    loss_conf: Mapping[str, float] = field(
        default_factory=lambda: {"l1": 1.0, "cosine": 1.0},
        metadata={"help": "weights of the losses, {name: weight}"},
    )
    dat: str = _option(
        "none",
        "method to hide the domain, see conf/distill/README.md",
        choices=("none", *METHODS),
    )
    dat_conf: AdversaryConfig = field(
        default_factory=AdversaryConfig, metadata={"help": "see AdversaryConfig"}
    )
    erase: EraseConfig = field(
        default_factory=EraseConfig,
        metadata={"help": "directions that the exported student erases, see EraseConfig"},
    )
    domain_probe: bool = _option(
        True,
        "report after each epoch how well a newly fitted linear classifier tells the student's "
        "states for clean validation speech from those for distorted speech",
    )
    crop_seconds: float = _option(
        15.6, "crop longer utterances to this length at random (15.6 s: 250,000 samples)"
    )
    fixed_crops: bool = _option(False, "crop an utterance at the same place in all epochs")
    student_mask_prob: float = _option(0.0, "share of the student's input frames to mask, in spans")
    student_mask_length: int = _option(10, "frames in a masked span")
    ema: float = _option(
        0.0,
        "decay of a moving average of the student, which is then validated and exported; "
        "such as 0.999; 0: none",
    )
    amp: str = _option(
        "none",
        "precision of teachers and student; losses stay in fp32. fp16 needs a GPU and turns on "
        "ESPnet's gradient scaler. Replaces --use_amp",
        choices=tuple(AMP),
    )
    compile: bool = _option(
        False, "apply torch.compile to teachers and student: takes minutes, then steps are faster"
    )

    def __post_init__(self):
        for f in fields(self):
            value, choices = getattr(self, f.name), f.metadata.get("choices")
            if choices and value != f.default and value not in choices:
                raise ConfigError(f"{f.name}: {value!r} is not one of {', '.join(choices)}")
        _check_teacher(self.teacher)
        _check_layers(self.target_layers)
        check_loss_weights(self.loss_conf)
        self._check_distortion(train=True)
        self._check_distortion(train=False)
        check_numbers(vars(self), ("crop_seconds", "ema", "student_mask_prob"))
        check_numbers(vars(self), ("statistics_batches", "student_mask_length"), whole=True)
        if not self.crop_seconds > 0:
            raise ConfigError(f"crop_seconds: {self.crop_seconds} must be above 0")
        if not (self.ema == 0 or 0 < self.ema < 1):
            raise ConfigError(f"ema: {self.ema} is neither a decay in (0, 1) nor 0 for none")
        if not 0 <= self.student_mask_prob <= 1 or self.student_mask_length < 1:
            raise ConfigError(
                f"student_mask_prob: {self.student_mask_prob} must be in [0, 1], "
                f"student_mask_length: {self.student_mask_length} at least 1"
            )
        if self.target_norm == "statistics" and self.statistics_batches < 1:
            raise ConfigError(f"statistics_batches: need at least 1, got {self.statistics_batches}")
        if self.target_cache:
            self._check_cache()
        if self.erase.rank and self.mapping == "none":
            raise ConfigError("erase: needs distorted speech, but with mapping none there is none")

    def _check_distortion(self, train: bool) -> None:
        mapping, option = self.mapping_of(train), "" if train else "valid_"
        if mapping != "none" and not self.distortion_of(train):
            raise ConfigError(
                f"{option}mapping {mapping} needs --{option}distortion, a distortion YAML"
            )

    def _check_cache(self) -> None:
        if self.mapping not in ("none", "setup1"):
            raise ConfigError(
                f"target_cache: with mapping {self.mapping} the teacher's input changes in each "
                "epoch; use none or setup1"
            )
        if not self.fixed_crops:
            raise ConfigError(
                "target_cache: random crops change in each epoch; add `fixed_crops: true`"
            )
        if self.target_norm == "statistics":
            raise ConfigError("target_cache: not with target_norm statistics; use none or layer")

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "DistillConfig":
        """Read the configuration from ESPnet's arguments; check it and ESPnet's own options.

        Cheap and without side effects, because each class method that ESPnet calls does it anew.

        Raises:
            ConfigError: something is wrong; the message is one line.
        """
        values = {f.name: getattr(args, f.name) for f in fields(cls)}
        if isinstance(args.teacher, str):
            values["teacher"] = [args.teacher]
        values["student_conf"] = from_mapping(args.student_conf, StudentConfig, "student_conf")
        # --dat names the method; a second place for it could contradict.
        dat_conf = as_options(args.dat_conf, "dat_conf")
        if "method" in dat_conf:
            raise ConfigError("dat_conf: method: give it with --dat")
        method = {} if args.dat == "none" else {"method": args.dat}
        values["dat_conf"] = from_mapping(dat_conf | method, AdversaryConfig, "dat_conf")
        values["erase"] = from_mapping(args.erase, EraseConfig, "erase")
        config = cls(**values)
        _check_beside_espnet(config, args)
        return config

    def crop_samples(self, frames: Frames) -> int:
        """``crop_seconds`` in samples.

        Raises:
            ConfigError: less than one frame.
        """
        crop = int(self.crop_seconds * frames.rate)
        if crop < frames.min_samples:
            raise ConfigError(
                f"crop_seconds: {self.crop_seconds}: {crop} samples, less than one frame "
                f"({frames.min_samples})"
            )
        return crop

    def mapping_of(self, train: bool) -> str:
        """The mapping (who hears what) for training or validation."""
        return self.mapping if train else self.valid_mapping or self.mapping

    def distortion_of(self, train: bool) -> str | Mapping[str, Any] | None:
        """The distortion for training or validation: a YAML, or the content of one."""
        return self.distortion if train else self.valid_distortion or self.distortion

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of ``amp``; None for none."""
        return AMP[self.amp]

    @property
    def layers(self) -> list[int]:
        """All target layers, including those in groups."""
        return _flat(self.target_layers)

    def needed_views(self, train: bool) -> frozenset[str]:
        """The views that losses, adversary and probe need besides the teacher's and student's."""
        matched = self.dat != "none" and self.dat_conf.matches
        probed = self.probes and not train
        return needed_views(self.loss_conf) | ({CLEAN} if matched or probed else set())

    @property
    def probes(self) -> bool:
        """Whether validation probes the domain."""
        return self.domain_probe and self.mapping_of(train=False) != "none"


def _flat(layers: Layers) -> list[int]:
    return [i for layer in layers for i in ([layer] if isinstance(layer, int) else layer)]


def _check_teacher(teacher: Any) -> None:
    if not teacher:
        raise ConfigError("--teacher: name a hub id or a local directory")
    if not isinstance(teacher, list | tuple) or not all(isinstance(t, str) and t for t in teacher):
        raise ConfigError(
            f"teacher: must be a hub id, a local directory or a list of these, got {teacher!r}"
        )


def _check_layers(layers: Layers) -> None:
    try:
        numbers = not isinstance(layers, Mapping) and all(type(i) is int for i in _flat(layers))
    except TypeError:
        numbers = False
    if not numbers:
        raise ConfigError(f"target_layers: {layers} is not a list of layers or groups of layers")
    groups = [(layer,) if isinstance(layer, int) else tuple(layer) for layer in layers]
    if not groups or not all(groups) or len(set(groups)) < len(groups):
        raise ConfigError(f"target_layers: {layers}: give each layer or group of layers only once")


def _check_beside_espnet(config: DistillConfig, args: argparse.Namespace) -> None:
    check_numbers(vars(args), ("max_cache_size",))
    check_numbers(vars(args), ("accum_grad", "ngpu"), whole=True)
    if args.max_cache_size > 0:
        raise ConfigError("max_cache_size: caching would repeat the same distortion; leave it at 0")
    if args.iterator_type != "sequence":
        raise ConfigError(f"iterator_type: {args.iterator_type!r}: use sequence")
    if args.accum_grad < 1:
        raise ConfigError(f"accum_grad: need at least 1, got {args.accum_grad}")
    if args.use_amp and config.amp == "none":
        raise ConfigError("use_amp: write `amp: bf16` or `amp: fp16` instead")
    if config.amp == "fp16" and args.ngpu == 0:
        raise ConfigError("amp: fp16 needs a GPU (--ngpu 1); use bf16 or none")
    if config.compile:
        _check_compiler(on_gpu=args.ngpu > 0)
    _check_criteria(config, args.best_model_criterion)


def _check_criteria(config: DistillConfig, criteria: Any) -> None:
    """Raise ConfigError if best_model_criterion names something that no epoch reports."""
    known = ["loss", "distill", *config.loss_conf]
    if config.dat != "none":
        known += config.dat_conf.stats
    allowed = (("train", "valid"), known, ("min", "max"))
    if not isinstance(criteria, list | tuple) or not all(
        isinstance(one, list | tuple)
        and len(one) == 3
        and all(word in words for word, words in zip(one, allowed, strict=True))
        for one in criteria
    ):
        raise ConfigError(
            f"best_model_criterion: {criteria!r}: need a list of [train or valid, one of "
            f"{', '.join(sorted(set(known)))}, min or max], such as [[valid, distill, min]]"
        )


def _check_compiler(on_gpu: bool) -> None:
    """Raise ConfigError if torch.compile would fail in the first step."""
    compiler = os.environ.get("CC", "gcc") if on_gpu else os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise ConfigError(f"compile: needs a compiler, but there is no {compiler}; install one")
    if on_gpu and not importlib.util.find_spec("triton"):
        raise ConfigError("compile: needs the package triton on a GPU; install it")
