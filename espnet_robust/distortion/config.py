"""Read a distortion YAML and report all of its errors at once.

    snr_db: [0, 20]          # for additive steps without their own
    overflow: scale          # or refuse: a result above full scale
    on_rate: resample        # or refuse: input with another rate than 16 kHz; in copies only
    chain:                   # steps, one after another
      - one_of:
          - {name: noise, noise: data/noise_train, weight: 3}
          - {name: white, snr_db: [10, 20]}
          - clean
      - {name: rir, rir: data/rir_train, prob: 0.5}

A step is the name of a kind, a kind with parameters, ``{one_of: [...]}`` or ``{sequence: [...]}``.
Each step may have ``prob`` and, within ``one_of``, ``weight``. A kind may have a ``label`` that
replaces its own domain label.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from espnet_robust.common.config import nearest, read_yaml
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.distortion.base import DataDirPath
from espnet_robust.distortion.chain import Distorter, Maybe, One, OneOf, Sequence, Step
from espnet_robust.distortion.collection import open_collection
from espnet_robust.distortion.kinds import KINDS

_TOP = ("chain", "snr_db", "overflow", "on_rate", "description")
_POLICIES = {"overflow": ("scale", "refuse"), "on_rate": ("resample", "refuse")}
_COMMON = ("prob", "weight", "label")
UNUSED_SNR = "no step of the chain uses it: each has its own `snr_db` or adds no noise"


def load_distortion(
    config: str | Path | Mapping, *, base_dir: str | Path | None = None
) -> Distorter:
    """Read a distortion config.

    Args:
        config: a YAML file, or the content of one.
        base_dir: directory to which its relative data dirs refer; None: the current directory.

    Raises:
        ConfigError: all errors in the file, one per line.
    """
    given, name = given_config(config)
    reader = ConfigReader(base_dir)
    distorter = reader.distortion(given)
    if given.get("snr_db") is not None and not reader.errors and not reader.took_snr_db:
        reader.error("snr_db", UNUSED_SNR)
    reader.raise_errors(name)
    return distorter


def given_config(config: str | Path | Mapping) -> tuple[Mapping, str]:
    """The content of a YAML file (a mapping is returned unchanged), and its name for messages.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping.
    """
    if isinstance(config, Mapping):
        return config, "distortion config"
    return read_yaml(Path(config)), str(config)


# Domain labels that differ from the name of their kind, and other words that people may try.
_LABELS = {
    "reverb": "rir",
    "reverberation": "rir",
    "room": "rir",
    "additive": "noise",
    "mp3": "codec",
}


class ConfigReader:
    """Builds chains and collects their errors.

    Args:
        base_dir: directory to which relative data dirs refer; None: the current directory.

    Attributes:
        took_snr_db: whether a step of the last ``distortion`` uses the ``snr_db`` beside its chain.
    """

    def __init__(self, base_dir: str | Path | None = None):
        self.base_dir = base_dir
        self.errors: list[str] = []
        self.took_snr_db = False

    def raise_errors(self, name: str) -> None:
        if self.errors:
            count = f"{len(self.errors)} error" + "s" * (len(self.errors) > 1)
            raise ConfigError("\n  ".join([f"{name}: {count}", *self.errors]))

    def distortion(self, given: Any, where: str = "") -> Distorter:
        """Read ``given``, the mapping of a whole config or of a protocol's condition."""
        prefix = f"{where}." if where else ""
        if not isinstance(given, Mapping):
            self.error(where or "top level", f"need a mapping with `chain`, got {given!r}")
            return Distorter(Sequence(()))
        if "conditions" in given and not where:
            self.error("conditions", "this is a protocol with many conditions: use make_protocol")
            return Distorter(Sequence(()))
        self.unknown(given, _TOP, where)
        self.took_snr_db = False
        policies = {}
        for key, allowed in _POLICIES.items():
            policies[key] = given.get(key, allowed[0])
            if policies[key] not in allowed:
                self.error(prefix + key, f"must be one of {', '.join(allowed)}")
        steps = self._steps(given.get("chain"), prefix + "chain", given.get("snr_db"))
        return Distorter(Sequence(steps), **policies)

    def _steps(
        self, given: Any, where: str, snr_db: Any, weighted: bool = False
    ) -> tuple[Step, ...]:
        if not isinstance(given, list) or not given:
            self.error(where, f"need a list of steps, got {given!r}")
            return ()
        for i, one in enumerate(given):
            if not weighted and isinstance(one, Mapping) and "weight" in one:
                self.error(f"{where}[{i}].weight", "only steps within `one_of` have one")
        return tuple(self._step(one, f"{where}[{i}]", snr_db) for i, one in enumerate(given))

    def _step(self, given: Any, where: str, snr_db: Any) -> Step:
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, Mapping):
            self.error(where, f"need the name of a kind or a mapping, got {given!r}")
            return Sequence(())
        forms = [key for key in ("name", "one_of", "sequence") if key in given]
        if len(forms) != 1:
            self.error(where, "need exactly one of `name`, `one_of`, `sequence`")
            return Sequence(())
        if forms == ["name"]:
            step = self._one(given, where, snr_db)
        else:
            self.unknown(given, (*forms, "prob", "weight"), where)
            where_in = f"{where}.{forms[0]}"
            steps = self._steps(given[forms[0]], where_in, snr_db, weighted=forms == ["one_of"])
            if forms == ["sequence"]:
                step = Sequence(steps)
            else:
                step = OneOf(steps, self._weights(given["one_of"], where_in))
        prob = self._number(given, "prob", where, high=1.0)
        return step if prob == 1.0 else Maybe(step, prob)

    def _weights(self, given: Any, where: str) -> tuple[float, ...]:
        if not isinstance(given, list):
            return ()
        weights = tuple(
            self._number(one, "weight", f"{where}[{i}]") if isinstance(one, Mapping) else 1.0
            for i, one in enumerate(given)
        )
        if not sum(weights) > 0:
            self.error(where, "all weights are 0")
        return weights

    def _one(self, given: Mapping, where: str, snr_db: Any) -> Step:
        name = given["name"]
        if not isinstance(name, str) or name not in KINDS:
            kind_of = _LABELS.get(str(name))
            hint = f", did you mean {kind_of!r}?" if kind_of else nearest(name, KINDS)
            self.error(where, f"unknown kind {name!r}{hint}")
            return Sequence(())
        kind = KINDS[name]
        known = {field.name: field for field in fields(kind)}
        self.unknown(given, ("name", *_COMMON, *known), f"{where} ({name})")
        label = given.get("label")
        if label is not None and (not isinstance(label, str) or not label):
            self.error(f"{where}.label", f"must be a word, got {label!r}")
        own = "snr_db" in given
        if snr_db is not None and not own and "snr_db" in known:
            given = {**given, "snr_db": snr_db}
        before = len(self.errors)
        parameters = {
            key: self._parameter(field, given, f"{where} ({name}).{key}")
            for key, field in known.items()
        }
        step = kind(**parameters)
        if len(self.errors) == before:
            try:
                step.check()
            except UserError as e:
                self.error(f"{where} ({name})", str(e))
        if step.uses_snr_db():
            self.took_snr_db |= snr_db is not None and not own
        elif own and "snr_db" in known:
            self.error(f"{where} ({name}).snr_db", "has no effect without `noise`")
        return One(name, step, label)

    def _parameter(self, field: Field, given: Mapping, where: str) -> Any:
        if field.name not in given:
            if field.default is MISSING:
                self.error(where, "is missing")
            return field.default
        value = given[field.name]
        if value is None and field.default is None:
            return None
        parser = field.metadata["parser"]
        try:
            value = parser.parse(value)
        except ValueError as e:
            self.error(where, str(e))
            return field.default
        return self._data_dir(value, where) if isinstance(parser, DataDirPath) else value

    def _data_dir(self, path: str, where: str) -> str:
        if self.base_dir is not None:
            path = str(Path(self.base_dir) / path)
        try:
            open_collection(path)
        except UserError as e:
            self.error(where, str(e))
        return path

    def _number(self, given: Mapping, key: str, where: str, high: float = float("inf")) -> float:
        value = given.get(key, 1.0)
        valid = isinstance(value, int | float) and not isinstance(value, bool)
        if not valid or not 0 <= value <= high or value == float("inf"):
            bounds = f"in [0, {high:g}]" if high < float("inf") else "of at least 0"
            self.error(f"{where}.{key}", f"must be a number {bounds}, got {value!r}")
            return 1.0
        return float(value)

    def unknown(self, given: Mapping, known: tuple[str, ...], where: str) -> None:
        for key in given:
            if key not in known:
                self.error(where or "top level", f"unknown key {key!r}{nearest(key, known)}")

    def error(self, where: str, what: str) -> None:
        self.errors.append(f"{where}: {what}")
