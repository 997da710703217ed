"""Fill a target cache before the training, utterance by utterance.

A teacher's last bits depend on the shape of its input. Here each utterance is alone, so that the
cache gets the same bytes from any number of processes, on one machine or many.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import torch

from espnet_robust.data.audio import read_audio
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.config import AMP, DistillConfig
from espnet_robust.distill.targets import Targets
from espnet_robust.distill.views import FRAMES, Views
from espnet_robust.distortion import load_distortion
from espnet_robust.models.speech_model import load_teacher

# Of the student, the adversary and the eraser, which have no part in the targets.
_OTHERS = ("student_conf", "dat_conf", "dat", "erase")


def check_mixtures(config: Mapping[str, Any]) -> None:
    """Raise ConfigError if the training would refuse its distortions once the cache is full."""
    options = _options(config)
    for train in (True, False):
        if options.mapping_of(train) != "none":
            load_distortion(options.distortion_of(train)).check_keeps_length(FRAMES)


def fill(
    config: Mapping[str, Any], seed: int, wavs: Iterable[tuple[str, str]], device: str = "cpu"
) -> None:
    """Store the targets of utterances; those in the cache already are kept.

    Args:
        config: the resolved configuration of a distillation with ``target_cache``.
        seed: of the training, which decides the crops.
        wavs: (utterance id, entry of ``wav.scp``).
        device: ``cpu`` or a GPU, such as ``cuda:1``.

    Raises:
        UserError: the configuration is invalid, audio cannot be read, or the disk is full.
    """
    options = _options(config)
    layers = tuple(n if isinstance(n, int) else tuple(n) for n in options.target_layers)
    targets = _targets(tuple(options.teacher), layers, options.target_cache, options.amp, device)
    frames = targets.teachers[0].frames
    views = Views(
        "none", None, {"clean": 0}, seed, options.crop_samples(frames), frames,
        train=False, fixed_crops=True,
    )  # fmt: skip
    precision = AMP[options.amp]
    for utt, entry in wavs:
        heard = views(utt, {"speech": read_audio(entry, rate=frames.rate)})["speech"]
        wav = torch.from_numpy(heard)[None].to(device)
        with torch.autocast(torch.device(device).type, precision) if precision else nullcontext():
            targets(wav, torch.tensor([len(heard)], device=device))


def _options(config: Mapping[str, Any]) -> DistillConfig:
    known = {f.name for f in fields(DistillConfig)} - {*_OTHERS}
    values = {name: value for name, value in config.items() if name in known}
    if isinstance(values["teacher"], str):
        values["teacher"] = [values["teacher"]]
    return DistillConfig(**values)


@functools.lru_cache(maxsize=1)  # a worker fills several parts with the same teachers
def _targets(
    names: Sequence[str], layers: Sequence[int | Sequence[int]], cache: str, amp: str, device: str
) -> Targets:
    flat = [n for layer in layers for n in ([layer] if isinstance(layer, int) else layer)]
    teachers = [load_teacher(name, flat) for name in names]
    stored = TargetCache.for_teachers(cache, teachers, layers, amp)
    return Targets(teachers, layers, cache=stored).to(device)
