"""Test protocols: many conditions for one test set, each a distorted copy.

    conditions:
      reverb_in:                       # one copy, SRC_reverb_in
        chain: [{name: rir, rir: data/rir_test}]
      noise_in:                        # four copies, SRC_noise_in_snr20 ... SRC_noise_in_snr0
        each_snr_db: [20, 10, 5, 0]
        chain: [{name: noise, noise: data/noise_test}]

A condition's ``snr_db`` applies to its additive steps without their own; ``each_snr_db`` needs at
least one of these. The condition ``clean`` is the source itself. All conditions draw with the same
seed, so an utterance gets the same noise and the same room at every SNR.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError
from espnet_robust.data.conditions import (
    CLEAN,
    FILE,
    Condition,
    check_name,
    read_condition,
)
from espnet_robust.data.expansion import expand
from espnet_robust.distortion.chain import Distorter
from espnet_robust.distortion.config import UNUSED_SNR, ConfigReader, given_config
from espnet_robust.distortion.copies import Job, run_job, single_snr


@dataclass(frozen=True)
class DistortedCondition:
    """A condition and the distortion that makes it.

    Args:
        condition: its name is part of the copy's name.
        distorter: the distortion.
        config: what the distorter was read from.
    """

    condition: Condition
    distorter: Distorter
    config: Mapping


def load_protocol(
    config: str | Path | Mapping, *, base_dir: str | Path | None = None
) -> list[DistortedCondition]:
    """Read a protocol YAML; the conditions keep its order.

    Raises:
        ConfigError: all errors in the file, one per line.
    """
    given, name = given_config(config)
    reader = ConfigReader(base_dir)
    protocol = None if isinstance(config, Mapping) else str(config)
    conditions = _conditions(given, reader, protocol)
    reader.raise_errors(name)
    return conditions


def _conditions(given: Any, reader: ConfigReader, protocol: str | None) -> list[DistortedCondition]:
    if not isinstance(given, Mapping) or not isinstance(given.get("conditions"), Mapping):
        reader.error("top level", "need a mapping with `conditions`, a mapping by name")
        return []
    shared = {key: value for key, value in given.items() if key != "conditions"}
    reader.unknown(shared, ("conditions", "snr_db", "overflow", "on_rate", "description"), "")
    conditions = []
    for name, body in given["conditions"].items():
        where = f"conditions.{name}"
        try:
            if check_name(name, where) == CLEAN:
                reader.error(where, "is the source itself and has no chain")
        except ConfigError as e:
            reader.errors.append(str(e))
        if not isinstance(body, Mapping):
            reader.error(where, f"need a mapping with `chain`, got {body!r}")
            continue
        before = len(reader.errors)
        if {"snr_db", "each_snr_db"} <= {*body}:
            reader.error(where, "has both `snr_db` and `each_snr_db`; leave out one")
        try:
            copies = expand(name, {**shared, **body})
        except ConfigError as e:
            reader.error(f"{where}.each_snr_db", str(e))
            continue
        for full_name, full in copies:
            distorter = reader.distortion(full, where)
            if not reader.took_snr_db:  # of the protocol: it says nothing about this condition
                full = {key: value for key, value in full.items() if key != "snr_db"}
            condition = Condition(full_name, single_snr(full), protocol)
            conditions.append(DistortedCondition(condition, distorter, full))
        # Else its copies would be the same, and yet be labelled with different SNRs.
        key = next((key for key in ("each_snr_db", "snr_db") if body.get(key) is not None), None)
        if key and len(reader.errors) == before and not reader.took_snr_db:
            reader.error(f"{where}.{key}", UNUSED_SNR)
    if not conditions:
        reader.error("conditions", "there are none")
    if len({made.condition.name for made in conditions}) < len(conditions):
        reader.error("conditions", "two of them would have the same name")
    return conditions


def make_protocol(
    src: str | Path,
    out_prefix: str,
    config: str | Path | Mapping,
    *,
    seed: int,
    nj: int = 1,
    format: str = "flac",
    allow_pipe: bool = False,
    hash_audio: bool = False,
) -> list[Path]:
    """Write ``OUT_PREFIX_<condition>`` for every condition of a protocol.

    Existing copies that were made by the same job are kept; copies for conditions that the file no
    longer has are removed. Each copy has a ``condition.json``, which also names the protocol.

    Returns:
        The data dirs, in the order of the protocol.

    Raises:
        UserError: as for ``distort_data_dir``; config errors are raised before anything is written.
    """
    jobs = protocol_jobs(
        src, out_prefix, config, seed=seed, format=format, allow_pipe=allow_pipe,
        hash_audio=hash_audio,
    )  # fmt: skip
    remove_left_over(jobs, out_prefix, config)
    for job in jobs:
        run_job(job, nj=nj)
    return [job.dst for job in jobs]


def protocol_jobs(
    src: str | Path, out_prefix: str, config: str | Path | Mapping, *, seed: int, **options: Any
) -> list[Job]:
    """The jobs for the copies of a protocol, in its order; the options are those of ``Job``.

    Raises:
        ConfigError: as for ``load_protocol``.
    """
    return [
        Job(
            Path(src), Path(f"{out_prefix}_{made.condition.name}"), made.distorter, made.config,
            made.condition, seed, **options,
        )
        for made in load_protocol(config)
    ]  # fmt: skip


def remove_left_over(jobs: Sequence[Job], out_prefix: str, config: str | Path | Mapping) -> None:
    """Remove copies that this protocol made for conditions that it no longer has."""
    for path in left_over(jobs, out_prefix, config):
        print(f"{path}: removed: {config} no longer has this condition", file=sys.stderr)
        shutil.rmtree(path)


def left_over(jobs: Sequence[Job], out_prefix: str, config: str | Path | Mapping) -> list[Path]:
    """Copies that this protocol made for conditions that it no longer has."""
    if isinstance(config, Mapping):
        return []
    wanted = {job.dst for job in jobs}
    prefix = Path(out_prefix)
    found = []
    for path in sorted(prefix.parent.glob(f"{prefix.name}_*")):
        if path not in wanted and (path / FILE).is_file():
            condition = read_condition(path)
            # Not data/test_other_noise, a copy of another test set.
            own = path.name == f"{prefix.name}_{condition.name}"
            if own and condition.protocol == str(config):
                found.append(path)
    return found
