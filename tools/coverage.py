"""Do the report's intervals hold? Simulated test sets, where the true error rates are known.

    python tools/coverage.py --runs 1000

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
    Design(1000, 1, by_speaker=0.0),
    Design(40, 20, seeds=3, by_seed=0.1),
    Design(40, 20, seeds=3, by_seed=0.3),
)


def simulate(design: Design, rng: np.random.Generator, systems: int = 2) -> list[Counted]:
    """Systems that are alike, on one test set: what is hard about a speaker is so for both."""
    s, u, c = design.speakers, design.utterances, CONDITIONS
    words = rng.poisson(7, (s, u)) + 1
    logit = np.log(design.rate / (1 - design.rate))
    shared = design.by_speaker * rng.standard_normal((s, 1)) * np.sqrt(0.7)
    shared = shared + design.by_utterance * rng.standard_normal((s, u))
    found = []
    for _ in range(systems):
        own = design.by_speaker * rng.standard_normal((c, s, 1)) * np.sqrt(0.3)
        seeds = design.by_seed * rng.standard_normal((design.seeds, c, 1, 1))
        chance = 1 / (1 + np.exp(-(logit + shared + own + seeds)))
        errors = rng.binomial(words, chance).sum(-1)  # (K, C, S)
        units = np.tile(words.sum(-1), (c, 1))
        found.append(Counted(units.astype(float), errors.astype(float)))
    return found


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
    held, even, called = np.zeros(CONDITIONS), np.zeros(CONDITIONS), 0
    for run in range(runs):
        one, other = simulate(design, rng)
        both = scatter({"one": one, "other": other}, DRAWS, run)
        rate, delta = estimate(both["one"]), difference(both["one"], both["other"])
        held += (rate.low <= truth) & (truth <= rate.high)
        even += (delta.low <= 0) & (delta.high >= 0)
        called += bool((holm(delta.p) < 0.05).any())
    return {
        "rate": 100 * held.mean() / runs,
        "difference": 100 * even.mean() / runs,
        "called different": 100 * called / runs,
    }


def main(cmd: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    args = parser.parse_args(cmd)
    print("| design | rate | difference | called different |\n| --- | ---: | ---: | ---: |")
    for design in DESIGNS:
        found = measure(design, args.runs)
        cells = " | ".join(f"{value:.1f}" for value in found.values())
        print(f"| {design} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
