"""Compose distortions: steps in sequence, one of several by weight, each with a probability."""

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from espnet_robust.common.errors import AudioError, ConfigError
from espnet_robust.data.audio import fit_range
from espnet_robust.distortion.base import Context, Kind
from espnet_robust.distortion.kinds import KINDS
from espnet_robust.distortion.seeding import rng_for

CLEAN = "clean"

Labels = tuple[str, ...]


class Step(Protocol):
    """A node of the chain."""

    def draw(self, rng: np.random.Generator, context: Context) -> list[tuple[Labels, dict]]:
        """Drawn records, each {"kind": ..., parameters}, with their domain labels."""

    def outcomes(self) -> set[Labels]:
        """Every sequence of labels that a draw can return."""

    def data_dirs(self) -> set[str]:
        """The data dirs that it draws from."""

    def changing_length(self) -> set[str]:
        """Names of the kinds in it that may change the length."""


@dataclass(frozen=True)
class One:
    """A single kind.

    Args:
        name: its key in ``KINDS``.
        kind: its parameters.
        label: replaces the kind's own domain label.
    """

    name: str
    kind: Kind
    label: str | None = None

    def _labels(self) -> Labels:
        return self.kind.domain() if self.label is None else (self.label,)

    def draw(self, rng: np.random.Generator, context: Context) -> list[tuple[Labels, dict]]:
        drawn = self.kind.draw(rng, context)
        return [(self._labels(), {"kind": self.name} | drawn)]

    def outcomes(self) -> set[Labels]:
        return {self._labels()}

    def data_dirs(self) -> set[str]:
        return self.kind.data_dirs()

    def changing_length(self) -> set[str]:
        return set() if self.kind.keeps_length() else {self.name}


@dataclass(frozen=True)
class Sequence:
    """Steps that are applied one after another."""

    steps: tuple[Step, ...]

    def draw(self, rng: np.random.Generator, context: Context) -> list[tuple[Labels, dict]]:
        drawn = []
        for step in self.steps:
            new = step.draw(rng, context)
            context = context._replace(num_samples=_num_samples_after(context.num_samples, new))
            drawn += new
        return drawn

    def outcomes(self) -> set[Labels]:
        each = (step.outcomes() for step in self.steps)
        return {sum(parts, ()) for parts in product(*each)}

    def data_dirs(self) -> set[str]:
        return set().union(*(step.data_dirs() for step in self.steps))

    def changing_length(self) -> set[str]:
        return set().union(*(step.changing_length() for step in self.steps))


@dataclass(frozen=True)
class OneOf:
    """One of several steps.

    Args:
        steps: the steps to choose from.
        weights: the relative probability of each step.
    """

    steps: tuple[Step, ...]
    weights: tuple[float, ...]

    def draw(self, rng: np.random.Generator, context: Context) -> list[tuple[Labels, dict]]:
        bounds = np.cumsum(self.weights)
        chosen = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
        return self.steps[chosen].draw(rng, context)

    def outcomes(self) -> set[Labels]:
        pairs = zip(self.steps, self.weights, strict=True)
        return set().union(*(step.outcomes() for step, weight in pairs if weight > 0))

    def data_dirs(self) -> set[str]:
        return set().union(*(step.data_dirs() for step in self.steps))

    def changing_length(self) -> set[str]:
        pairs = zip(self.steps, self.weights, strict=True)
        return set().union(*(step.changing_length() for step, weight in pairs if weight > 0))


@dataclass(frozen=True)
class Maybe:
    """A step that is taken with a probability."""

    step: Step
    prob: float

    def draw(self, rng: np.random.Generator, context: Context) -> list[tuple[Labels, dict]]:
        return self.step.draw(rng, context) if rng.random() < self.prob else []

    def outcomes(self) -> set[Labels]:
        taken = self.step.outcomes() if self.prob > 0 else set()
        return taken | ({()} if self.prob < 1 else set())

    def data_dirs(self) -> set[str]:
        return self.step.data_dirs()

    def changing_length(self) -> set[str]:
        return self.step.changing_length() if self.prob > 0 else set()


def _num_samples_after(num_samples: int, drawn: list[tuple[Labels, dict]]) -> int:
    for _, step in drawn:
        kind, parameters = _split(step)
        num_samples = kind.num_samples_out(num_samples, **parameters)
    return num_samples


def _split(step: dict) -> tuple[type[Kind], dict]:
    parameters = dict(step)
    name = parameters.pop("kind", None)
    if name not in KINDS:
        raise ConfigError(f"the record has a distortion of unknown kind {name!r}")
    return KINDS[name], parameters


def domain_of(labels: Labels) -> str:
    """The domain label of a sequence of labels: joined, without repetitions.

    >>> domain_of(("noise", "noise", "reverb")), domain_of(())
    ('noise+reverb', 'clean')
    """
    return "+".join(dict.fromkeys(labels)) or CLEAN


@dataclass(frozen=True)
class Distorter:
    """Draws and applies a chain of distortions.

    Picklable; safe to use in forked workers. Made by ``load_distortion``.

    Args:
        chain: the steps.
        overflow: what to do if the result exceeds full scale: "scale" turns the whole signal down,
            which changes neither SNR nor reverberation; "refuse" raises.
        on_rate: what writers of copies do with rates other than 16 kHz: "resample" or "refuse".
    """

    chain: Sequence
    overflow: str = "scale"
    on_rate: str = "resample"

    @property
    def kinds(self) -> tuple[str, ...]:
        """All domain labels that can occur, sorted, after "clean" (which is always included)."""
        names = {domain_of(labels) for labels in self.chain.outcomes()}
        return (CLEAN, *sorted(names - {CLEAN}))

    @property
    def data_dirs(self) -> tuple[str, ...]:
        """The data dirs of noise, rooms and voices that it draws from, sorted."""
        return tuple(sorted(self.chain.data_dirs()))

    def check_on_the_fly(self) -> None:
        """Raise ConfigError if it asks for what only writers of copies can do."""
        if self.on_rate != "resample":
            raise ConfigError(
                f"distortion: on_rate: {self.on_rate}: trainings resample other rates before they "
                "distort; leave it out"
            )

    def check_keeps_length(self, what: str) -> None:
        """Raise ConfigError if a step may change the length, with which ``what`` would not fit."""
        if found := ", ".join(sorted(self.chain.changing_length())):
            raise ConfigError(
                f"distortion: {found} changes the length of utterances, so {what} no longer fit; "
                "write `length: keep`, or leave it out"
            )

    def draw(
        self,
        rng: np.random.Generator,
        num_samples: int,
        progress: float = 0.0,
        utt_id: str | None = None,
    ) -> dict:
        """Draw one distortion.

        Args:
            rng: the generator for this utterance, from ``rng_for``.
            num_samples: length of the signal to be distorted, at 16 kHz, > 0.
            progress: progress of the training, in [0, 1], for curricula.
            utt_id: the utterance itself, which babble must not use.

        Returns:
            A JSON-able record: "domain" and "steps", a list of {"kind": name, parameters}.
        """
        drawn = self.chain.draw(rng, Context(num_samples, progress, utt_id))
        labels = sum((labels for labels, _ in drawn), ())
        steps = [step for _, step in drawn if step["kind"] != CLEAN]
        return {"domain": domain_of(labels), "steps": steps}

    def apply(self, wav: np.ndarray, record: dict) -> np.ndarray:
        """Apply what was drawn.

        Args:
            wav: (samples,) float32 in [-1, 1], 16 kHz; not modified.
            record: from ``draw``.

        Returns:
            (samples,) float32 in [-1, 1]; as long as ``wav`` unless a step changes the length.

        Raises:
            AudioError: NaN or infinite samples; above full scale if ``overflow`` is "refuse".
            ConfigError: the record holds an unknown kind.
        """
        return self.apply_scaled(wav, record)[0]

    def apply_scaled(self, wav: np.ndarray, record: dict) -> tuple[np.ndarray, float]:
        """Like ``apply``; also returns the factor (at most 1.0) that the result was scaled by."""
        if wav.ndim != 1 or not len(wav):
            raise AudioError(f"need mono audio with at least one sample, got shape {wav.shape}")
        out = np.asarray(wav, np.float32)
        for step in record["steps"]:
            kind, parameters = _split(step)
            out = np.asarray(kind.apply(out, **parameters), np.float32)
        peak = max(float(out.max()), -float(out.min()))
        if not np.isfinite(peak):
            raise AudioError("NaN or infinite samples")
        if peak <= 1.0:
            return (out.copy() if out is wav else out), 1.0
        if self.overflow == "refuse":
            return fit_range(out, "distorted speech", "refuse"), 1.0
        return out / np.float32(peak), 1.0 / peak

    def num_samples_out(self, num_samples: int, record: dict) -> int:
        """Length of what ``apply`` returns for ``num_samples``."""
        return _num_samples_after(num_samples, [((), step) for step in record["steps"]])

    def __call__(
        self,
        wav: np.ndarray,
        utt_id: str,
        *,
        seed: int,
        epoch: int = 0,
        side: str = "student",
        progress: float = 0.0,
    ) -> tuple[np.ndarray, dict]:
        """Draw for this utterance and apply; the record also holds seed, epoch and side."""
        rng = rng_for(seed, utt_id, epoch, side)
        record = self.draw(rng, len(wav), progress, utt_id)
        record |= {"seed": seed, "epoch": epoch, "side": side}
        return self.apply(wav, record), record
