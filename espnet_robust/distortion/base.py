"""The contract of every kind of distortion: its parameters, ``draw`` and ``apply``.

A kind is a frozen dataclass whose fields are the parameters in the YAML. It has two methods:

- ``draw(rng, context) -> dict`` draws the JSON-able parameters of one application;
- ``apply(wav, **drawn) -> wav`` is static and has no randomness, so that the record alone is
  enough to remake an utterance.

Input and output of ``apply`` are (samples,) float32 at 16 kHz; the input is never modified. The
length stays the same unless ``num_samples_out`` says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np


class Context(NamedTuple):
    """What a draw may depend on besides the generator."""

    num_samples: int  # in the input of this step
    progress: float = 0.0  # of the training, in [0, 1]
    utt_id: str | None = None  # so that babble does not use the utterance itself


@dataclass(frozen=True)
class Uniform:
    """A number drawn uniformly between two bounds, which may move with progress.

    Args:
        start: (low, high) at progress 0.
        end: (low, high) at progress 1; linear in between.
    """

    start: tuple[float, float]
    end: tuple[float, float]

    def draw(self, rng: np.random.Generator, progress: float = 0.0) -> float:
        low, high = (a + (b - a) * progress for a, b in zip(self.start, self.end, strict=True))
        return low if low == high else float(rng.uniform(low, high))

    def draw_whole(self, rng: np.random.Generator, progress: float = 0.0) -> int:
        """A whole number; all of them, both bounds included, are equally likely."""
        low, high = (a + (b - a) * progress for a, b in zip(self.start, self.end, strict=True))
        low, high = round(low), round(high)
        return low if low == high else int(rng.integers(low, high + 1))

    def bounds(self) -> tuple[float, float]:
        return min(self.start[0], self.end[0]), max(self.start[1], self.end[1])


@dataclass(frozen=True)
class Choice:
    """One of several numbers, all equally likely."""

    values: tuple[float, ...]

    def draw(self, rng: np.random.Generator, progress: float = 0.0) -> float:
        return self.values[int(rng.integers(len(self.values)))]

    def draw_whole(self, rng: np.random.Generator, progress: float = 0.0) -> int:
        return int(self.draw(rng, progress))

    def bounds(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


Values = Uniform | Choice


def parse_values(given: Any) -> Values:
    """Read a number or a distribution of numbers from its YAML value.

    ``10``: always 10; ``[0, 20]``: uniform; ``{choice: [0, 5, 10]}``: one of these;
    ``{start: [15, 20], end: [0, 20]}``: uniform in a range that moves with training progress.

    Raises:
        ValueError: anything else.
    """
    if isinstance(given, Uniform | Choice):
        return given
    if _is_number(given):
        return Uniform((given, given), (given, given))
    if isinstance(given, Sequence) and not isinstance(given, str):
        low_high = _range(given)
        return Uniform(low_high, low_high)
    if isinstance(given, Mapping):
        if set(given) == {"choice"} and isinstance(given["choice"], list) and given["choice"]:
            if all(_is_number(value) for value in given["choice"]):
                return Choice(tuple(given["choice"]))
        elif set(given) == {"start", "end"}:
            return Uniform(_range(given["start"]), _range(given["end"]))
    raise ValueError(
        "need a number, [low, high], {choice: [...]} or {start: [low, high], end: [low, high]},"
        f" got {given!r}"
    )


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and np.isfinite(given)


def _range(given: Any) -> tuple[float, float]:
    if _is_number(given):
        return given, given
    if (
        isinstance(given, Sequence)
        and len(given) == 2
        and all(map(_is_number, given))
        and given[0] <= given[1]
    ):
        return given[0], given[1]
    raise ValueError(f"need [low, high] with low <= high, got {given!r}")


@dataclass(frozen=True)
class Numbers:
    """Parses and bounds a parameter that is drawn from numbers."""

    low: float
    high: float
    whole: bool = False  # integers only

    def parse(self, given: Any) -> Values:
        values = parse_values(given)
        low, high = values.bounds()
        if low < self.low or high > self.high:
            raise ValueError(f"must lie in [{self.low:g}, {self.high:g}], got {given!r}")
        given_numbers = values.values if isinstance(values, Choice) else values.start + values.end
        if self.whole and any(number % 1 for number in given_numbers):
            raise ValueError(f"must be a whole number, got {given!r}")
        return values


@dataclass(frozen=True)
class Word:
    """Parses a parameter that is one of several words."""

    words: tuple[str, ...]

    def parse(self, given: Any) -> str:
        if given not in self.words:
            raise ValueError(f"must be one of {', '.join(self.words)}, got {given!r}")
        return given


@dataclass(frozen=True)
class Words:
    """Parses a parameter that is one or a list of several words, one of which is drawn."""

    words: tuple[str, ...]

    def parse(self, given: Any) -> tuple[str, ...]:
        given = [given] if isinstance(given, str) else given
        if not isinstance(given, list | tuple) or not given:
            raise ValueError(f"must be one or more of {', '.join(self.words)}, got {given!r}")
        return tuple(Word(self.words).parse(word) for word in given)


@dataclass(frozen=True)
class DataDirPath:
    """Parses a parameter that names a data dir, relative to the current directory."""

    def parse(self, given: Any) -> str:
        if not isinstance(given, str | Path) or not str(given):
            raise ValueError(f"must name a data dir, got {given!r}")
        return str(given)


# Arguments of ``dataclasses.field`` for a parameter: its default and how it is parsed.


def numbers(default: Any = None, *, low: float, high: float, whole: bool = False) -> dict:
    """A parameter drawn from numbers within [low, high]."""
    parser = Numbers(low, high, whole)
    parsed = None if default is None else parser.parse(default)
    return {"default": parsed, "metadata": {"parser": parser}}


def word(default: str, known: Sequence[str]) -> dict:
    """A parameter that is one of the known words."""
    return {"default": default, "metadata": {"parser": Word(tuple(known))}}


def words(default: Sequence[str], known: Sequence[str]) -> dict:
    """A parameter that is a list of known words."""
    return {"default": tuple(default), "metadata": {"parser": Words(tuple(known))}}


def data_dir(default: Any = MISSING) -> dict:
    """A parameter that names a data dir; required unless it has a default."""
    return {"default": default, "metadata": {"parser": DataDirPath()}}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Base class of the kinds. A step of this kind adds ``labels`` to the domain label."""

    labels: ClassVar[tuple[str, ...]]

    def domain(self) -> tuple[str, ...]:
        """Domain labels of this step; kinds whose labels depend on parameters override it."""
        return self.labels

    def data_dirs(self) -> set[str]:
        """The data dirs that it draws from."""
        named = (f for f in fields(self) if isinstance(f.metadata["parser"], DataDirPath))
        return {path for f in named if (path := getattr(self, f.name)) is not None}

    def check(self) -> None:
        """Raise UserError if nothing could be drawn or applied: what it needs is not there."""

    def uses_snr_db(self) -> bool:
        """Whether its ``snr_db`` has an effect; False for kinds without one."""
        return any(f.name == "snr_db" for f in fields(self))

    def keeps_length(self) -> bool:
        """Whether the output always has the length of the input."""
        return type(self).num_samples_out is Kind.num_samples_out

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        raise NotImplementedError

    @staticmethod
    def apply(wav: np.ndarray, **drawn: Any) -> np.ndarray:
        raise NotImplementedError

    @staticmethod
    def num_samples_out(num_samples: int, **drawn: Any) -> int:
        """Length of the output for an input of ``num_samples``."""
        return num_samples
