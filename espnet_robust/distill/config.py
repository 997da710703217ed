"""The configuration of a distillation: what a YAML may say beside ESPnet's own options.

The options of ``distill_train`` are made from the fields of ``DistillConfig`` (``add_options`` in
``options.py``), and all that can be wrong with them, alone, together or beside ESPnet's, is refused
here and nowhere else. What only the teacher or the data can tell (a layer beyond its depth) is
refused where they are read.
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
from espnet_robust.distill.domains import METHODS, AdversaryConfig
from espnet_robust.distill.losses import check_loss_weights, needed_views
from espnet_robust.distill.targets import NORMS
from espnet_robust.distill.views import CLEAN, MAPPINGS
from espnet_robust.models.student import StudentConfig

AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
Layers = Sequence[int | Sequence[int]]


def _option(default: Any, help: str, **keywords: Any) -> Any:
    """A field and its option; ``keywords`` go to ``add_argument``."""
    return field(default=default, metadata={"help": help, **keywords})


@dataclass(frozen=True)
class DistillConfig:
    """One distillation. The help of each field is that of its option.

    Raises:
        ConfigError: a value out of range, or one that makes no sense beside another.
    """

    teacher: Sequence[str] | None = _option(
        None,
        "hub id or local directory; with several the student is built from the first",
    )
    target_layers: Layers = field(
        default_factory=lambda: [4, 8, 12],
        metadata={
            "help": "teacher layers that the student predicts; in a YAML also groups to be "
            "averaged: [4, [8, 9, 10, 11, 12]]",
            "type": int,
        },
    )
    target_norm: str = _option(
        "none",
        "layer: each target frame to zero mean and unit variance over its values; "
        "statistics: each value over the frames of a pass over data",
        choices=NORMS,
    )
    statistics_batches: int = _option(
        100, "batches of the first epoch over which target_norm statistics are taken"
    )
    target_cache: str | None = _option(
        None,
        "keep the teachers' answers there and look them up, in this run and all others; "
        "with mapping none or setup1 and --fixed_crops true. 0.8 GB an hour of speech with 3 "
        "layers of 768",
        metavar="DIR",
    )
    student_conf: StudentConfig = field(
        default_factory=StudentConfig, metadata={"help": "see StudentConfig"}
    )
    mapping: str = _option("setup2", "see espnet_robust.distill.views", choices=MAPPINGS)
    distortion: str | Mapping[str, Any] | None = _option(
        None, "YAML of the distortion chain; in a YAML also what stands in one"
    )
    valid_mapping: str | None = _option(
        None,
        "that of the validation set, which picks the best epoch; default: --mapping",
        choices=MAPPINGS,
    )
    valid_distortion: str | Mapping[str, Any] | None = _option(
        None, "the chain of the validation set; default: --distortion"
    )
    loss_conf: Mapping[str, float] = field(
        default_factory=lambda: {"l1": 1.0, "cosine": 1.0},
        metadata={"help": "{name of a loss: weight}"},
    )
    dat: str = _option(
        "none",
        "domain adversarial training, see espnet_robust.distill.adversary",
        choices=("none", *METHODS),
    )
    dat_conf: AdversaryConfig = field(
        default_factory=AdversaryConfig, metadata={"help": "see AdversaryConfig"}
    )
    domain_probe: bool = _option(
        True,
        "tell after each epoch how well a linear classifier, fitted afresh, tells the student's "
        "states of clean from those of distorted validation speech",
    )
    crop_seconds: float = _option(
        15.6, "longer utterances are cropped at random (15.6 s: 250,000 samples)"
    )
    fixed_crops: bool = _option(False, "crop an utterance alike in all epochs")
    student_mask_prob: float = _option(
        0.0, "share of the student's input frames that are masked, in spans"
    )
    student_mask_length: int = _option(10, "frames in a masked span")
    ema: float = _option(
        0.0,
        "decay of a moving average of the student, which is then validated and exported; "
        "for example 0.999; 0: none",
    )
    amp: str = _option(
        "none",
        "precision of teachers and student; the losses stay in fp32. fp16 needs a GPU and "
        "turns on ESPnet's gradient scaler. Instead of --use_amp, which leaves no choice",
        choices=tuple(AMP),
    )
    compile: bool = _option(
        False, "torch.compile teachers and student: minutes at the start, faster steps"
    )

    def __post_init__(self):
        for f in fields(self):
            value, choices = getattr(self, f.name), f.metadata.get("choices")
            if choices and value != f.default and value not in choices:
                raise ConfigError(f"{f.name}: {value!r} is not one of {', '.join(choices)}")
        if not self.teacher:
            raise ConfigError("--teacher: name a hub id or a local directory")
        _check_layers(self.target_layers)
        check_loss_weights(self.loss_conf)
        self._check_distortion(train=True)
        self._check_distortion(train=False)
        if not (self.ema == 0 or 0 < self.ema < 1):
            raise ConfigError(f"ema: {self.ema} is not a decay in (0, 1), nor 0 for none")
        if not 0 <= self.student_mask_prob <= 1 or self.student_mask_length < 1:
            raise ConfigError(
                f"student_mask_prob: {self.student_mask_prob} must be in [0, 1], "
                f"student_mask_length: {self.student_mask_length} at least 1"
            )
        if self.target_norm == "statistics" and self.statistics_batches < 1:
            raise ConfigError(f"statistics_batches: need at least 1, got {self.statistics_batches}")
        if self.target_cache:
            self._check_cache()

    def _check_distortion(self, train: bool) -> None:
        mapping, option = self.mapping_of(train), "" if train else "valid_"
        if mapping != "none" and not self.distortion_of(train):
            raise ConfigError(
                f"{option}mapping {mapping} needs --{option}distortion, the YAML of a chain"
            )

    def _check_cache(self) -> None:
        if self.mapping not in ("none", "setup1"):
            raise ConfigError(
                f"target_cache: with mapping {self.mapping} the teacher hears something new each "
                "epoch; use none or setup1"
            )
        if not self.fixed_crops:
            raise ConfigError(
                "target_cache: random crops are new each epoch; add `fixed_crops: true`"
            )
        if self.target_norm == "statistics":
            raise ConfigError("target_cache: not with target_norm statistics; use none or layer")

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "DistillConfig":
        """The configuration in ESPnet's arguments, checked, as are ESPnet's options beside it.

        Cheap and without side effects: each class method that ESPnet calls makes its own.

        Raises:
            ConfigError: in one line what is wrong.
        """
        values = {f.name: getattr(args, f.name) for f in fields(cls)}
        if isinstance(args.teacher, str):
            values["teacher"] = [args.teacher]
        values["student_conf"] = from_mapping(args.student_conf, StudentConfig, "student_conf")
        # --dat names the method; a second place for it could contradict.
        if "method" in args.dat_conf:
            raise ConfigError("dat_conf: method: name it by --dat")
        method = {} if args.dat == "none" else {"method": args.dat}
        values["dat_conf"] = from_mapping(args.dat_conf | method, AdversaryConfig, "dat_conf")
        config = cls(**values)
        _check_beside_espnet(config, args)
        return config

    def mapping_of(self, train: bool) -> str:
        """Who hears what: in training, or in validation."""
        return self.mapping if train else self.valid_mapping or self.mapping

    def distortion_of(self, train: bool) -> str | Mapping[str, Any] | None:
        """The chain of training, or of validation: its YAML, or what stands in it."""
        return self.distortion if train else self.valid_distortion or self.distortion

    @property
    def dtype(self) -> torch.dtype | None:
        """That of ``amp``; None for none."""
        return AMP[self.amp]

    @property
    def layers(self) -> list[int]:
        """The target layers, groups taken apart."""
        return _flat(self.target_layers)

    def needed_views(self, train: bool) -> frozenset[str]:
        """What losses, adversary and probe hear beside the teacher's and the student's view."""
        matched = self.dat != "none" and self.dat_conf.matches
        probed = self.domain_probe and not train and self.mapping_of(train) != "none"
        return needed_views(self.loss_conf) | ({CLEAN} if matched or probed else set())


def _flat(layers: Layers) -> list[int]:
    return [i for layer in layers for i in ([layer] if isinstance(layer, int) else layer)]


def _check_layers(layers: Layers) -> None:
    try:
        numbers = all(isinstance(layer, int) for layer in _flat(layers))
    except TypeError:
        numbers = False
    if not numbers:
        raise ConfigError(f"target_layers: {layers} is not a list of layers or of groups of them")
    groups = [(layer,) if isinstance(layer, int) else tuple(layer) for layer in layers]
    if not groups or not all(groups) or len(set(groups)) < len(groups):
        raise ConfigError(f"target_layers: {layers}: name each layer or group of layers once")


def _check_beside_espnet(config: DistillConfig, args: argparse.Namespace) -> None:
    if args.max_cache_size > 0:
        raise ConfigError("max_cache_size: caching would freeze the distortion; leave it at 0")
    if args.iterator_type != "sequence":
        raise ConfigError(f"iterator_type: {args.iterator_type!r}: use sequence")
    if args.accum_grad < 1:
        raise ConfigError(f"accum_grad: need at least 1, got {args.accum_grad}")
    if args.use_amp and config.amp == "none":
        raise ConfigError("use_amp: say `amp: bf16` or `amp: fp16` instead")
    if config.amp == "fp16" and args.ngpu == 0:
        raise ConfigError("amp: fp16 needs a GPU (--ngpu 1); use bf16 or none")
    if config.compile:
        _check_compiler(on_gpu=args.ngpu > 0)
    _check_criteria(config, args.best_model_criterion)


def _check_criteria(config: DistillConfig, criteria: Sequence[Sequence[str]]) -> None:
    """ConfigError where best_model_criterion names what no epoch reports."""
    known = {"loss", "distill", *config.loss_conf}
    if config.dat != "none":
        known |= config.dat_conf.stats
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
