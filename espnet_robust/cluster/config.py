"""Options of cluster jobs, from conf/cluster/*.yaml."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from espnet_robust.common.config import find_yaml, from_mapping, no_yaml, read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.shipped import conf_dir

EXECUTORS = ("local", "slurm")
KINDS = ("data", "train", "decode")  # copies, exports and scores; stages 4, 5 and 7; stage 8


@dataclass(frozen=True)
class Cluster:
    """The options of the jobs of a stage.

    Args:
        executor: "slurm", or "local": processes of this machine.
        partition, account: Slurm's; None: the cluster's default.
        time_min: minutes after which a job is ended.
        mem_gb: memory of a job on each of its nodes, in GB; None: the cluster's default.
        cpus: number of CPUs of a job on each of its nodes.
        array: jobs of a stage at a time; as many parts have its distorted copies.
        retries: how often a failed job is submitted again.
        requeue: whether Slurm restarts a job that it has pre-empted or whose node failed.
        sbatch: further options of sbatch, such as ``{qos: long}``.
        setup: shell lines that a job begins with, such as ``module load cuda``.
        data, train, decode: options of these kinds of jobs that differ.
    """

    executor: str
    partition: str | None = None
    account: str | None = None
    time_min: int = 240
    mem_gb: float | None = None
    cpus: int = 1
    array: int = 16
    retries: int = 2
    requeue: bool = True
    sbatch: Mapping[str, Any] = field(default_factory=dict)
    setup: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    decode: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ConfigError(f"executor {self.executor!r}: {' or '.join(EXECUTORS)}")
        for name in ("time_min", "cpus", "array"):
            _check(name, getattr(self, name), int, 1)
        _check("retries", self.retries, int, 0)
        if self.mem_gb is not None:
            _check("mem_gb", self.mem_gb, (int, float), 0.1)
        _check("requeue", self.requeue, bool, False)
        for name in ("partition", "account"):
            _check_text(name, getattr(self, name))
        if not isinstance(self.setup, list | tuple) or any(
            not isinstance(line, str) for line in self.setup
        ):
            raise ConfigError(f"setup {self.setup!r}: a list of shell lines, each in quotes")
        for name in ("sbatch", *KINDS):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(f"{name} {getattr(self, name)!r}: a mapping of options")
        _check_sbatch(self.sbatch)

    def of(self, kind: str) -> "Cluster":
        """The options of jobs of this kind.

        Raises:
            ConfigError: an option is unknown or has an invalid value.
        """
        for name in getattr(self, kind):
            if name in KINDS:
                raise ConfigError(f"{kind}: {name}: options of other jobs do not belong in here")
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in KINDS}
        return from_mapping(options | dict(getattr(self, kind)), Cluster, kind)


def _check(name: str, value: Any, kind: type | tuple[type, ...], least: Any) -> None:
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not right or not least <= value < math.inf:
        what = "true or false" if kind is bool else f"a number of at least {least}"
        raise ConfigError(f"{name} {value!r}: need {what}")


def _check_text(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise ConfigError(f"{name} {value!r}: need a name; if it is a number, in quotes")


def _check_sbatch(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if not isinstance(name, str):
            raise ConfigError(f"sbatch: {name!r}: need the name of an option, such as qos")
        if value is False or not isinstance(value, str | int | float):
            raise ConfigError(f"sbatch: {name}: {value!r}: need text, a number, or true for a flag")


def read_cluster(name: str, recipe: Path = Path()) -> Cluster:
    """The cluster of a YAML, a path or a name in conf/cluster of the recipe or the checkout.

    Raises:
        ConfigError: there is no such YAML, or something in it is wrong, for any kind of job.
    """
    path: Path | None = Path(name)
    if "/" not in name and not name.endswith(".yaml"):
        folders = [recipe / "conf/cluster", conf_dir() / "cluster"]
        path = find_yaml(name, folders)
        if path is None:
            raise ConfigError(f"--cluster {name}: {no_yaml(name, folders)}")
    assert path
    cluster = from_mapping(read_yaml(path), Cluster, str(path))
    for kind in KINDS:
        try:
            cluster.of(kind)
        except ConfigError as e:
            raise ConfigError(f"{path}: {e}") from None
    return cluster


def shown(cluster: Cluster) -> str:
    """The options of a kind of jobs, for a message.

    >>> shown(Cluster("slurm", account="speech", mem_gb=8))
    'account speech, array 16, cpus 1, mem_gb 8, requeue True, retries 2, time_min 240'
    """
    options = sorted(asdict(cluster).items())
    return ", ".join(f"{k} {v}" for k, v in options if k != "executor" and v not in (None, {}, ()))
