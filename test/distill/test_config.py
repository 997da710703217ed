"""The configuration of a distillation: one dataclass, the options made from it, its checks."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from espnet_robust.bin.distill_train import get_parser
from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.config import DistillConfig
from espnet_robust.distill.domains import AdversaryConfig
from espnet_robust.distill.options import add_options, parse
from espnet_robust.models.frames import Frames
from espnet_robust.models.student import StudentConfig

NEEDED = {"teacher": ["t"], "mapping": "none"}


def from_words(*words: str) -> DistillConfig:
    return DistillConfig.from_args(
        parse(get_parser(), ["--teacher", "t", "--mapping", "none", *words])
    )


def test_every_field_is_an_option_with_its_help_and_default():
    group = next(g for g in get_parser()._action_groups if g.title == "Distillation")
    options = {action.dest: action for action in group._group_actions}
    assert list(options) == [*(f.name for f in fields(DistillConfig)), "student_arch"]
    plain = DistillConfig(**NEEDED)
    for f in fields(DistillConfig):
        assert options[f.name].help == f.metadata["help"]
        if f.name not in NEEDED:
            default = options[f.name].default
            nested = f.name.endswith("_conf") or f.name == "erase"
            assert getattr(plain, f.name) == default or (default == {} and nested)


def test_types_make_options():
    @dataclass(frozen=True)
    class Inner:
        a: int = 1

    @dataclass(frozen=True)
    class Outer:
        words: Sequence[str] = field(default=(), metadata={"help": "w"})
        numbers: Sequence[int] = field(default=(), metadata={"help": "n", "type": int})
        yes: bool = field(default=False, metadata={"help": "y"})
        share: float = field(default=0.5, metadata={"help": "s"})
        path: str | None = field(default=None, metadata={"help": "p"})
        inner: Inner = field(default_factory=Inner, metadata={"help": "i"})
        weights: Mapping[str, float] = field(
            default_factory=lambda: {"x": 1.0}, metadata={"help": "m"}
        )

    parser = argparse.ArgumentParser()
    add_options(parser.add_argument_group("x"), Outer)
    assert vars(parser.parse_args([])) == {
        "words": (), "numbers": (), "yes": False, "share": 0.5, "path": None, "inner": {},
        "weights": {"x": 1.0},
    }  # fmt: skip
    words = "--words a b --numbers 1 2 --yes true --share 1 --path p --inner a=3 --weights y=2"
    assert vars(parser.parse_args(words.split())) == {
        "words": ["a", "b"], "numbers": [1, 2], "yes": True, "share": 1.0, "path": "p",
        "inner": {"a": 3}, "weights": {"x": 1.0, "y": 2},
    }  # fmt: skip


def test_nested_configurations():
    config = from_words(
        "--student_conf", "num_layers=3", "--dat_conf", "weight=0.5", "--dat", "alternating"
    )
    assert config.student_conf == StudentConfig(num_layers=3)
    assert config.dat_conf == AdversaryConfig(weight=0.5, method="alternating")
    assert config.teacher == ["t"]
    with pytest.raises(ConfigError, match="dat_conf: method: give it with --dat"):
        from_words("--dat_conf", "method=reversal")


def test_what_follows():
    config = DistillConfig(
        teacher=["t"],
        target_layers=[4, [2, 3]],
        mapping="setup1",
        distortion="a",
        valid_mapping="none",
        loss_conf={"l1": 1.0, "denoise": 0.1},
    )
    assert config.layers == [4, 2, 3]
    assert [config.mapping_of(train) for train in (True, False)] == ["setup1", "none"]
    assert [config.distortion_of(train) for train in (True, False)] == ["a", "a"]
    assert config.needed_views(train=True) == {"clean_speech"}
    assert DistillConfig(**NEEDED).needed_views(train=False) == set()
    mapped = NEEDED | {"mapping": "setup1", "distortion": "a"}
    plain = DistillConfig(**mapped)
    assert [plain.needed_views(train) for train in (True, False)] == [set(), {"clean_speech"}]
    unprobed = DistillConfig(**mapped, domain_probe=False)
    assert unprobed.needed_views(train=False) == set()
    matched = DistillConfig(**mapped, dat="pairs", dat_conf=AdversaryConfig(method="pairs"))
    assert matched.needed_views(train=True) == {"clean_speech"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": []}, "--teacher: name"),
        ({"target_norm": "batch"}, "target_norm: 'batch' is not one of none, layer, statistics"),
        ({"valid_mapping": "both"}, "valid_mapping: 'both' is not one of none, setup1"),
        ({"target_layers": []}, "give each layer or group of layers only once"),
        ({"target_layers": [2, 2]}, "give each layer or group of layers only once"),
        ({"target_layers": [2, [2]]}, "give each layer or group of layers only once"),
        ({"target_layers": [[]]}, "give each layer or group of layers only once"),
        ({"target_layers": ["2"]}, "is not a list of layers"),
        ({"target_layers": 4}, "is not a list of layers"),
        ({"target_layers": [True]}, "is not a list of layers"),
        ({"target_layers": {4: 1}}, "is not a list of layers"),
        ({"teacher": 5}, "teacher: must be a hub id, a local directory or a list of these, got 5"),
        ({"teacher": ["t", 5]}, r"or a list of these, got \['t', 5\]"),
        ({"mapping": "same"}, "mapping same needs --distortion"),
        ({"loss_conf": {"l2": 1.0}}, "loss_conf: unknown loss l2"),
        ({"ema": -0.1}, "ema: -0.1 is neither a decay"),
        ({"student_mask_length": 0}, "student_mask_length: 0 at least 1"),
        ({"student_mask_length": 2.5}, "student_mask_length: must be a whole number, got 2.5"),
        ({"student_mask_prob": [1]}, r"student_mask_prob: must be a finite number, got \[1\]"),
        ({"crop_seconds": 0}, "crop_seconds: 0 must be above 0"),
        ({"crop_seconds": -1.0}, "crop_seconds: -1.0 must be above 0"),
        ({"crop_seconds": math.nan}, "crop_seconds: must be a finite number, got nan"),
        ({"crop_seconds": math.inf}, "crop_seconds: must be a finite number, got inf"),
        ({"loss_conf": {"l1": "1e-1"}}, "loss_conf: l1: must be .* got '1e-1'; in YAML, write"),
        ({"loss_conf": {1: 1.0}}, "loss_conf: unknown loss 1; known: l1"),
        ({"loss_conf": 3}, "loss_conf: need {name: weight}, got 3"),
    ],
)
def test_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        DistillConfig(**NEEDED | change)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--student_conf num_layers=2.5", "num_layers: need at least 1, a whole number, got 2.5"),
        ("--dat_conf hidden=1.5", "dat_conf: hidden: must be a whole number, got 1.5"),
        ("--dat_conf weight=1e-1", "dat_conf: weight: must be a finite number, got '1e-1'; in"),
        ("--dat_conf ridge=.nan", "dat_conf: ridge: must be a finite number, got nan"),
        ("--dat_conf start=true", "dat_conf: start: must be a finite number, got True"),
        ("--erase rank=1.5", "erase: rank: must be a whole number, got 1.5"),
    ],
)
def test_numbers_of_nested_configurations(words, message):
    with pytest.raises(ConfigError, match=message):
        from_words(*words.split())


def changed(**options: Any) -> argparse.Namespace:
    args = parse(get_parser(), ["--teacher", "t", "--mapping", "none"])
    return argparse.Namespace(**vars(args) | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student_conf": 5}, "student_conf: must be a mapping of options, got 5"),
        ({"dat_conf": 5}, "dat_conf: must be a mapping of options, got 5"),
        ({"erase": [16]}, r"erase: must be a mapping of options, got \[16\]"),
        (
            {"student_conf": {"overrides": 5, "init": "random"}},
            "student_conf: overrides: must be a mapping of options, got 5",
        ),
        ({"max_cache_size": "big"}, "max_cache_size: must be a finite number, got 'big'"),
        ({"accum_grad": [1]}, r"accum_grad: must be a whole number, got \[1\]"),
    ],
)
def test_values_of_a_wrong_type(options, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        DistillConfig.from_args(changed(**options))


@pytest.mark.parametrize(
    "criteria",
    [None, 5, "valid", [["valid", ["a"], "min"]], ["valid", "loss", "min"], [["valid", "loss"]]],
)
def test_criteria_of_a_wrong_type(criteria):
    with pytest.raises(ConfigError) as e:
        DistillConfig.from_args(changed(best_model_criterion=criteria))
    assert str(e.value) == (
        f"best_model_criterion: {criteria!r}: need a list of [train or valid, one of cosine, "
        "distill, l1, loss, min or max], such as [[valid, distill, min]]"
    )


def test_null_is_no_options():
    nothing = changed(student_conf=None, dat_conf=None, erase=None)
    assert DistillConfig.from_args(nothing) == DistillConfig.from_args(changed())


def test_a_crop_shorter_than_a_frame():
    frames = Frames(16000, ((400, 320),))
    assert DistillConfig(**NEEDED, crop_seconds=0.025).crop_samples(frames) == 400
    with pytest.raises(ConfigError, match=r"0.01: 160 samples, less than one frame \(400\)"):
        DistillConfig(**NEEDED, crop_seconds=0.01).crop_samples(frames)
