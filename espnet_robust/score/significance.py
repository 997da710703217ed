"""Confidence intervals of error rates and their differences, by bootstrap over speakers and seeds.

Speakers are drawn with replacement, each with all of their utterances, because the errors of one
speaker are correlated: Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR
performance evaluation", ICASSP 2004; Liu & Peng, "Statistical testing on ASR performance via
blockwise bootstrap", Interspeech 2020. Utterances are not drawn again within speakers: the scatter
of speakers' rates already includes theirs, and intervals would be too wide (Davison & Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8; ``tools/interval_coverage.py`` shows
it). If there is only one speaker, or speakers are unknown, utterances are drawn.

All systems and conditions share each draw, so differences are those of matched pairs, as in NIST's
sc_stats (Gillick & Cox, ICASSP 1989), with speakers as segments. The scatter over seeds is drawn
separately for each system, because two systems trained with one seed have nothing in common.

A bootstrap of n speakers is too narrow, and it treats the scatter as known rather than estimated.
Deviations are scaled for the former by n / (n - 1), one over one minus a speaker's leverage, as in
HC3 (MacKinnon & White, Journal of Econometrics 29(3), 1985), and for the latter by t / z (the
"expanded" interval of Hesterberg, The American Statistician 69(4), 2015). The degrees of freedom
of t are n - 1. If speakers and seeds both scatter, they are the harmonic mean of the two, weighted
by their shares of the variance; Satterthwaite's formula gives too many with two or three seeds. So
with three seeds that differ an interval is wide, as it should be. One seed gives no information on
the scatter over seeds, so the interval is then for the trained model.
``tools/interval_coverage.py`` measures how often intervals hold.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

DRAWS = 5000
BATCH = 1 << 23  # speakers x draws at a time: bounds the memory
LEVEL = 0.95
_ROUNDING = 1e-9  # points
_TAILS = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
_Z = float(ndtri((1 + LEVEL) / 2))


@dataclass(frozen=True)
class Counted:
    """Errors of one system by condition and speaker.

    Args:
        units: (C, S), or (K, C, S) if they differ, words or labels in the references: the same for
            all systems, unless a reference leaves a choice (``Normalisation.alternatives``).
        errors: (K, C, S), for each of K seeds; NaN in conditions that were not tested.
    """

    units: np.ndarray
    errors: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """(K, C), errors in per cent of the units."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return 100 * self.errors.sum(2) / self.units.sum(-1)


@dataclass(frozen=True)
class Estimates:
    """Values with their 95 % intervals, one for each of Q quantities; NaN where unknown.

    Args:
        value, low, high: (Q,), per cent or points.
        p: (Q,), probability of a value at least as far from 0 if the true value were 0.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


class Draws:
    """Draws of speakers, the same for all systems; (D, C) rates of a system under each."""

    def __init__(self, units: np.ndarray, draws: int = DRAWS, seed: int = 0):
        """
        Args:
            units: (R, C, S), of R runs; see ``Counted``.
            draws: D.
            seed: same seed, same draws.
        """
        self.number, self.seed = draws, seed
        self.speakers = (units[0] > 0).sum(1)  # (C,)
        # Nearly always all runs have the same, which are then summed once.
        kinds: dict[bytes, int] = {}
        self._of = [kinds.setdefault(one.tobytes(), len(kinds)) for one in units]
        self.units = np.array([units[self._of.index(kind)] for kind in kinds.values()])

    def rates(self, runs: Sequence[np.ndarray]) -> np.ndarray:
        """Errors (C, S) of R runs -> (R, D, C), in per cent."""
        rng = np.random.default_rng(self.seed)
        kinds, conditions, count = self.units.shape
        at_once = max(1, BATCH // count)
        stacked = np.concatenate([*self.units, *runs]).T.astype(np.float64)  # (S, (kinds + R) C)
        parts = []
        for start in range(0, self.number, at_once):
            # Number of times each speaker is drawn: (draws, S).
            size = min(at_once, self.number - start)
            times = rng.multinomial(count, np.full(count, 1 / count), size=size)
            sums = (times.astype(np.float64) @ stacked).reshape(size, -1, conditions)
            with np.errstate(invalid="ignore", divide="ignore"):
                parts.append(100 * sums[:, kinds:] / sums[:, self._of])
        return np.concatenate(parts).transpose(1, 0, 2)


@dataclass(frozen=True)
class Scatter:
    """A system's values, and their scatter over draws.

    Args:
        value: (Q,)
        speakers: (D, Q) deviations from it over draws of speakers.
        seeds: (D, Q) deviations over draws of seeds; 0 with one seed.
        degrees: (Q,), of freedom of ``speakers``.
        runs: K, seeds.
    """

    value: np.ndarray
    speakers: np.ndarray
    seeds: np.ndarray
    degrees: np.ndarray
    runs: int

    def average(self, columns: Sequence[int]) -> "Scatter":
        """The mean of some of the quantities, with equal weights, as one quantity."""
        at = list(columns)
        return Scatter(
            self.value[at].mean(keepdims=True),
            self.speakers[:, at].mean(1, keepdims=True),
            self.seeds[:, at].mean(1, keepdims=True),
            self.degrees[at].max(keepdims=True),
            self.runs,
        )


def scatter(
    systems: Mapping[str, Counted], draws: int = DRAWS, seed: int = 0
) -> dict[str, Scatter]:
    """Scatter of every system's rate (per cent) under each of C conditions, over common draws."""
    if not systems:
        return {}
    units = [np.broadcast_to(one.units, one.errors.shape) for one in systems.values()]
    drawing = Draws(np.concatenate(units), draws, seed)
    drawn = drawing.rates([run for counted in systems.values() for run in counted.errors])
    found, first = {}, 0
    for number, (name, counted) in enumerate(systems.items()):
        runs = len(counted.errors)
        rates = counted.rates
        value = rates.mean(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            wider = drawing.speakers / (drawing.speakers - 1)
            speakers = (drawn[first : first + runs].mean(0) - value) * wider
        first += runs
        rng = np.random.default_rng([seed, 1, number])
        found[name] = Scatter(
            value, speakers, _over_seeds(rates, draws, rng), drawing.speakers - 1, runs
        )
    return found


def _over_seeds(rates: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(K, C) -> (D, C) deviations of the mean over K seeds.

    Two or three seeds show the width of the scatter but not its shape, which is taken as normal.
    """
    runs = len(rates)
    if runs == 1:
        return np.zeros((draws, rates.shape[1]))
    # Conditions are drawn together: a training that is good in one is good in others.
    weights = rng.standard_normal((draws, runs))
    deviations = rates - rates.mean(0)
    return weights @ deviations / math.sqrt(runs * (runs - 1))


def estimate(system: Scatter) -> Estimates:
    """A system's error rates, in per cent; never below 0."""
    seeds = (system.seeds, np.full(len(system.value), max(1, system.runs - 1)))
    found = _estimates(system.value, (system.speakers, system.degrees), seeds)
    return Estimates(found.value, np.maximum(found.low, 0), found.high, found.p)


def difference(system: Scatter, baseline: Scatter) -> Estimates:
    """System minus baseline, in points: matched in speakers, not in seeds."""
    speakers = (system.speakers - baseline.speakers, system.degrees)
    variances = [one.seeds.var(0) for one in (system, baseline)]
    degrees = [max(1, one.runs - 1) for one in (system, baseline)]
    with np.errstate(invalid="ignore", divide="ignore"):  # Satterthwaite
        together = sum(variances) ** 2 / sum(
            v**2 / df for v, df in zip(variances, degrees, strict=True)
        )
    together = np.where(sum(variances) > 0, together, 1.0)
    seeds = (system.seeds - baseline.seeds, together)
    found = _estimates(system.value - baseline.value, speakers, seeds)
    # Speakers who all differ alike show no scatter; by chance alone, their signs agree with this p.
    alike = (found.high - found.low < _ROUNDING) & (np.abs(found.value) > _ROUNDING)
    chance = 0.5**system.degrees
    unknown = alike & (chance > 1 - LEVEL)
    low, high = (np.where(unknown, np.nan, x) for x in (found.low, found.high))
    p = np.where(unknown, np.nan, np.where(alike, np.maximum(found.p, chance), found.p))
    return Estimates(found.value, low, high, p)


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for multiple testing: Holm, Scand. J. Statist. 6, 1979. NaN stays NaN.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3)
    array([0.03, 0.06, 0.06])
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(stepped)) if len(order) else stepped
    return adjusted


Part = tuple[np.ndarray, np.ndarray]  # deviations (D, Q), and their degrees of freedom (Q,)


def _estimates(value: np.ndarray, speakers: Part, seeds: Part) -> Estimates:
    """Estimates of (Q,) values that scatter over speakers and, independently, over seeds."""
    low, high = np.percentile(speakers[0] + seeds[0], _TAILS, axis=0)
    variances = [part.var(0) for part, _ in (speakers, seeds)]
    error = np.sqrt(variances[0] + variances[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(error > 0, variances[1] / error**2, 0.0)
        freedom = 1 / ((1 - share) / speakers[1] + share / seeds[1])
        expand = stdtrit(freedom, (1 + LEVEL) / 2) / _Z
        p = 2 * stdtr(freedom, -np.abs(value) / error)
    p = np.where(value == 0, 1.0, p)
    unknown = np.isnan(low + expand)
    low, high, p = (np.where(unknown, np.nan, x) for x in (expand * low, expand * high, p))
    return Estimates(value, value + low, value + high, p)
