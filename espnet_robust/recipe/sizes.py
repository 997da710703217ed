"""Estimate a run before it starts: hours of speech, steps, disk space, GPU memory and time.

The hours are counted in the data dirs or, before these exist, taken from the published ones in the
recipe's conf/hours.yaml. Everything else follows from the configurations and from measured rates
(conf/scale/rates.yaml, which says what they were measured on).
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.config import read_config, read_yaml
from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.common.experiment import CONF, NOT_DISTILLED, find_teacher
from espnet_robust.common.files import read_json
from espnet_robust.common.merging import Config
from espnet_robust.data.audio import RATE
from espnet_robust.data.conditions import FILE
from espnet_robust.data.data_dir import iter_table
from espnet_robust.data.expansion import expand
from espnet_robust.recipe.plan import DISTILL, Plan

COPIES, DISTILLATION, TRAINING = 3, 5, 7  # stages
FRAMES_A_SECOND = 50
HIDDEN = 768  # HuBERT Base's, for a teacher whose configuration is not on this disk
BASE_BYTES = 378e6  # of HuBERT Base's weights
LARGE = 3.3  # size of a Large model relative to Base
GB = 1e9
MANY_PASSES = 1000  # over the speech; beyond that, more hardly improve a student


@dataclass(frozen=True)
class Rates:
    """Measured rates, from conf/scale/rates.yaml.

    Args:
        gpu: the GPU on which the figures by precision were measured.
        distil_audio: {amp: s of audio per second} in distillation.
        distil_gb: {amp: peak memory, GB} with ``batch_audio`` s in a batch.
        fixed_gb: the part of it that does not grow with the batch: weights, gradients, optimizer.
        batch_audio: s of audio in a batch.
        copy_bytes: bytes on disk per second of distorted speech.
        training_gb: {"distill", "teacher", "student", "logmel": GB} on disk after a training.
        worker_audio: s of audio that one process distorts on the fly in a second.
        core_distil_audio: s of audio per second of CPU time in distillation, fp32.
        core_copy_audio: s of audio per second of CPU time in making distorted copies.
        core_utterances: utterances that stage 1 reads, checks and lists per second of CPU time.
        speech_bytes: bytes on disk per second of clean speech.
    """

    gpu: str
    distil_audio: Mapping[str, float]
    distil_gb: Mapping[str, float]
    fixed_gb: float
    batch_audio: float
    copy_bytes: float
    training_gb: Mapping[str, float]
    worker_audio: float
    core_distil_audio: float
    core_copy_audio: float
    core_utterances: float
    speech_bytes: float

    def memory_gb(self, amp: str, audio: float) -> float:
        """GPU memory in GB with ``audio`` s in a batch: a fixed part and one proportional to it."""
        measured = self.distil_gb[amp]
        return self.fixed_gb + (measured - self.fixed_gb) * audio / self.batch_audio


def read_rates() -> Rates:
    return read_config(CONF / "scale/rates.yaml", Rates)


@dataclass(frozen=True)
class Need:
    """Disk space that a run will need.

    Args:
        folder: the directory, which need not exist yet.
        gb: the space, GB.
        what: what it is for, for messages.
    """

    folder: Path
    gb: float
    what: str


def hours_of(data_dir: Path, published: Mapping[str, float]) -> float | None:
    """Hours of speech in a data dir, or the published ones for its name; None if unknown.

    Raises:
        DataDirError: utt2num_samples is faulty, as for ``iter_table``, or has another entry than a
            number.
    """
    table = data_dir / "utt2num_samples"
    if table.is_file():
        samples = sum(_number(entry, f"{table}: {utt}") for utt, entry in iter_table(table))
        return samples / RATE / 3600
    return published.get(re.sub(r"^fold\d+_", "", data_dir.name))


def _number(entry: str, where: str) -> int:
    if not entry.isdecimal():
        raise DataDirError(
            f"{where}: {entry!r} is no number of samples; begin with --stage 1, which writes it"
        )
    return int(entry)


def published_hours(recipe: Path, preset: str) -> Mapping[str, float]:
    """{data dir: hours} from a recipe's conf/hours.yaml; {} if it does not have them."""
    path = recipe / "conf/hours.yaml"
    return read_yaml(path).get(preset or "published", {}) if path.is_file() else {}


def names_of_copies(protocol: Path) -> list[str]:
    """The conditions of the distorted copies that a protocol makes of a test set.

    Raises:
        ConfigError: they cannot be named. ``load_protocol`` finds all errors, but needs the noises
            of stage 2.
    """
    conditions = read_yaml(protocol).get("conditions")
    if not isinstance(conditions, Mapping):
        raise ConfigError(f"{protocol}: need a mapping with `conditions`, a mapping by name")
    names = []
    for name, body in conditions.items():
        where = f"{protocol}: conditions.{name}"
        if not isinstance(body, Mapping):
            raise ConfigError(f"{where}: need a mapping with `chain`, got {body!r}")
        try:
            names += [full for full, _ in expand(str(name), body)]
        except ConfigError as e:
            raise ConfigError(f"{where}.each_snr_db: {e}") from None
    return names


def estimate(
    plan: Plan, stages: Sequence[int], systems: Sequence[str], seeds: Sequence[str],
    gpus: int, preset: str = "", dumpdir: str = "",
) -> tuple[list[str], list[Need]]:  # fmt: skip
    """What the stages will take, as lines to show and as needs for ``check_space``."""
    rates, published = read_rates(), published_hours(plan.recipe.directory, preset)
    sets = (plan.train, plan.dev, *plan.test_sets)
    hours = {path.name: hours_of(path, published) for path in sets}
    known = ", ".join(f"{name} {n:.3g} h" for name, n in hours.items() if n is not None)
    lines = [f"speech: {known or 'known after stage 1'}"]
    needs = []
    if COPIES in stages and (copies := copies_of(plan, published, rates, Path(dumpdir or "data"))):
        lines.append(copies.what)
        needs.append(copies)
    for system in systems:
        if DISTILLATION in stages and system not in NOT_DISTILLED and not plan.students:
            config = plan.config(DISTILL, system, seeds[0])
            heard = hours_of(plan.distill_train, published)
            lines.append(f"{system}: {distillation(config, heard, gpus, rates)}")
            cache = _cache(config, heard)
            lines += [need.what for need in cache]
            needs += cache
    needs += _trainings(plan, stages, systems, seeds, rates)
    total = sum(need.gb for need in needs)
    return [*lines, *[f"disk: {total:.2g} GB in all"] * (total >= 1)], needs


def copies_of(
    plan: Plan, published: Mapping[str, float], rates: Rates, folder: Path
) -> Need | None:
    """The distorted copies still to be made; None if there are none, or if no hours are known."""
    if plan.protocols == ("none",):
        return None
    names = {copy for name in plan.protocols for copy in names_of_copies(Path(name))}
    hours = 0.0
    for path in plan.test_sets:
        todo = [name for name in names if not Path(f"{path}_{name}", FILE).is_file()]
        hours += len(todo) * (hours_of(path, published) or 0)
    if not hours:
        return None
    gb = 3600 * hours * rates.copy_bytes / GB
    what = f"copies: {len(names)} conditions of each test set, {hours:.3g} h, {gb:.2g} GB"
    return Need(folder, gb, what)


def distillation(config: Config, hours: float | None, gpus: int, rates: Rates) -> str:
    """Steps, passes, GPU time and memory, as far as they follow from the measured rates."""
    batch = config.get("batch_bins", 0) / RATE
    steps = config["max_epoch"] * (config.get("num_iters_per_epoch") or 0)
    if not batch or not steps:
        return f"{config['max_epoch']} epochs"
    audio = steps * batch / 3600
    said = f"{steps:,} steps of {batch:.0f} s"
    if passes := audio / hours if hours else 0:
        said += f", {passes:,.0f} passes" if passes > 100 else f", {passes:.3g} passes"
    if passes > MANY_PASSES:
        said += " (give it more speech, --distill_set DIR, or take --students of a larger corpus)"
    amp = config.get("amp", "none")
    if not gpus or amp not in rates.distil_audio or not 0.8 < _size(config["teacher"]) < 1.25:
        return said
    memory, time = rates.memory_gb(amp, batch / gpus), audio / rates.distil_audio[amp] / gpus
    said += f", {memory:.2g} GB a GPU, {time:.2g} h"
    return f"{said} (in proportion to HuBERT Base on one {rates.gpu})"


def _cache(config: Config, hours: float | None) -> list[Need]:
    """Space for cached targets: two bytes per value, for all layers and teachers."""
    directory = config.get("target_cache")
    if not directory or not hours or any(Path(directory).glob("*/*")):
        return []
    values = sum(map(_hidden_size, _teachers(config["teacher"]))) * len(config["target_layers"])
    gb = 3600 * hours * FRAMES_A_SECOND * values * 2 / GB
    return [Need(Path(directory), gb, f"cached targets: {hours:.3g} h, {gb:.2g} GB")]


def _hidden_size(teacher: str) -> int:
    config = Path(teacher, "config.json")
    return read_json(config).get("hidden_size", HIDDEN) if config.is_file() else HIDDEN


def _size(teacher: str | list[str]) -> float:
    """Size of the teachers relative to HuBERT Base; for one on the hub, judged by its name."""
    total = 0.0
    for name in _teachers(teacher):
        files = [file for kind in ("safetensors", "bin") for file in Path(name).glob(f"*.{kind}")]
        there = sum(file.stat().st_size for file in files) / BASE_BYTES
        total += there or (LARGE if "large" in name.lower() else 1)
    return total


def _teachers(teacher: str | list[str]) -> list[str]:
    return teacher if isinstance(teacher, list) else [teacher]


def _trainings(
    plan: Plan, stages: Sequence[int], systems: Sequence[str], seeds: Sequence[str], rates: Rates
) -> list[Need]:
    """Space for checkpoints of the trainings still to be run, in the experiment's directory."""
    gb = 0.0
    for system in systems:
        for directory in (plan.directory(system, seed) for seed in seeds):
            if DISTILLATION in stages and system not in NOT_DISTILLED and not plan.students:
                gb += rates.training_gb["distill"] * (not (directory / DISTILL).exists())
            if TRAINING in stages:
                kind = system if system in NOT_DISTILLED else "student"
                gb += rates.training_gb[kind] * (not (directory / plan.task).exists())
    gb *= _size(find_teacher(plan.recipe, plan.teacher))
    return [Need(plan.exp, gb, f"trainings: {gb:.2g} GB")] if gb >= 1 else []


def check_space(needs: Sequence[Need], warn: bool = False) -> None:
    """Raise UserError if a disk has less space than everything on it will need, or ``warn``."""
    by_disk: dict[Any, list[Need]] = {}
    for need in needs:
        by_disk.setdefault(os.stat(_there(need.folder)).st_dev, []).append(need)
    for together in by_disk.values():
        folder = _there(together[0].folder)
        needed, free = sum(n.gb for n in together), shutil.disk_usage(folder).free / GB
        if needed > free:
            said = (
                f"{folder.absolute()}: {needed:.2g} GB are needed, {free:.2g} GB are free "
                f"({'; '.join(need.what for need in together)}); make room, or put data elsewhere "
                "with --dumpdir DIR and experiments with --expdir DIR; --check_disk false goes on"
            )
            if not warn:
                raise UserError(said)
            print(f"warning: {said}", file=sys.stderr)


def _there(folder: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
