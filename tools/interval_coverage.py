"""Do the report's intervals hold? Simulated test sets, where the true error rates are known.

    python tools/interval_coverage.py --runs 1000

For each design (speakers, utterances of each, seeds, how much speakers and seeds differ): how often
the 95 % interval holds the true rate and the true difference of two systems (wanted: 93 to 97 of
100), how often it would with utterances drawn once more within speakers, and how often two systems
that are alike are called different under any of six conditions after Holm (wanted: at most 5).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet_robust.score.significance import Counted, difference, estimate, holm, scatter

CONDITIONS = 6
DRAWS = 1000
TWICE_EVERY = 5  # runs; it takes as long as all else


@dataclass(frozen=True)
class Design:
    """A simulated test set; scatter in units of the logit of the error rate.

    Args:
        speakers, utterances: of each speaker, on average.
        seeds: of each system.
        by_speaker, by_utterance: standard deviation of speakers, of utterances.
        by_seed: standard deviation of trainings.
        rate: error rate of the typical word.
    """

    speakers: int
    utterances: int
    seeds: int = 1
    by_speaker: float = 0.5
    by_utterance: float = 0.8
    by_seed: float = 0.0
    rate: float = 0.2

    def __str__(self) -> str:
        return (
            f"{self.speakers} speakers x {self.utterances}, {self.seeds} seeds, scatter "
            f"{self.by_speaker:g}/{self.by_utterance:g}/{self.by_seed:g}, {100 * self.rate:g} %"
        )


DESIGNS = (
    Design(40, 20),
    Design(40, 20, by_speaker=0.0),
    Design(10, 27),
    Design(20, 100, by_speaker=1.0, rate=0.3),
    Design(40, 60, rate=0.05),
    Design(400, 1, by_speaker=0.0),
    Design(40, 20, seeds=3, by_seed=0.1),
    Design(40, 20, seeds=3, by_seed=0.3),
)


@dataclass(frozen=True)
class TestSet:
    """Two systems that are alike on one test set: what is hard about a speaker is so for both.

    Args:
        words: (S, U) of each utterance.
        errors: of each system, (K, C, S, U).
    """

    words: np.ndarray
    errors: Sequence[np.ndarray]

    def counted(self) -> list[Counted]:
        """As the report counts them."""
        units = np.tile(self.words.sum(-1), (CONDITIONS, 1)).astype(float)
        return [Counted(units, errors.sum(-1).astype(float)) for errors in self.errors]


def simulate(design: Design, rng: np.random.Generator) -> TestSet:
    """Draw speakers, utterances, trainings and errors."""
    s, u, c = design.speakers, design.utterances, CONDITIONS
    words = rng.poisson(7, (s, u)) + 1
    logit = np.log(design.rate / (1 - design.rate))
    shared = design.by_speaker * rng.standard_normal((s, 1)) * np.sqrt(0.7)
    shared = shared + design.by_utterance * rng.standard_normal((s, u))
    found = []
    for _ in range(2):
        own = design.by_speaker * rng.standard_normal((c, s, 1)) * np.sqrt(0.3)
        seeds = design.by_seed * rng.standard_normal((design.seeds, c, 1, 1))
        chance = 1 / (1 + np.exp(-(logit + shared + own + seeds)))
        found.append(rng.binomial(words, chance))
    return TestSet(words, found)


def drawn_twice(test: TestSet, rng: np.random.Generator, draws: int = 200) -> tuple[float, float]:
    """The interval of the first system's first condition, with utterances drawn within speakers."""
    speakers, utterances = test.words.shape
    times = rng.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws)
    within = rng.multinomial(times * utterances, np.full(utterances, 1 / utterances))
    errors = test.errors[0].mean(0)[0]
    rates = 100 * (within * errors).sum((1, 2)) / (within * test.words).sum((1, 2))
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def true_rate(design: Design) -> float:
    """Per cent, by numerical integration over the scatter."""
    x = np.random.default_rng(0).standard_normal(4_000_001)
    sd = np.sqrt(design.by_speaker**2 + design.by_utterance**2 + design.by_seed**2)
    logit = np.log(design.rate / (1 - design.rate))
    return float(100 * np.mean(1 / (1 + np.exp(-(logit + sd * x)))))


def measure(design: Design, runs: int, seed: int = 0) -> dict[str, float]:
    """Shares of the runs, in per cent."""
    rng = np.random.default_rng(seed)
    truth = true_rate(design)
    held, even, called, twice = np.zeros(CONDITIONS), np.zeros(CONDITIONS), 0, 0
    for run in range(runs):
        test = simulate(design, rng)
        one, other = test.counted()
        both = scatter({"one": one, "other": other}, DRAWS, run)
        rate, delta = estimate(both["one"]), difference(both["one"], both["other"])
        held += (rate.low <= truth) & (truth <= rate.high)
        even += (delta.low <= 0) & (delta.high >= 0)
        called += bool((holm(delta.p) < 0.05).any())
        if run % TWICE_EVERY == 0:
            low, high = drawn_twice(test, np.random.default_rng(run))
            twice += low <= truth <= high
    return {
        "rate": 100 * held.mean() / runs,
        "difference": 100 * even.mean() / runs,
        "called different": 100 * called / runs,
        "rate, drawn twice": 100 * twice / len(range(0, runs, TWICE_EVERY)),
    }


def main(cmd: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--design", type=int, help="only this one, counted from 0")
    args = parser.parse_args(cmd)
    print("| design | rate | difference | called different | rate, drawn twice |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for design in DESIGNS if args.design is None else [DESIGNS[args.design]]:
        found = measure(design, args.runs)
        cells = " | ".join(f"{value:.1f}" for value in found.values())
        print(f"| {design} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
