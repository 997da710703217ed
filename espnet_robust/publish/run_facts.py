"""Collect the facts of a recipe's run: its scores, student, data and commit."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import UserError
from espnet_robust.common.experiment import CHECKOUT, CONF
from espnet_robust.common.made_of import commit, made_by
from espnet_robust.common.recipe import read_noise_source
from espnet_robust.common.shown_command import shown_command
from espnet_robust.score.metrics import ACCURACY, WER, Metric
from espnet_robust.score.reading import read_runs
from espnet_robust.score.schema import Scores, read_scores
from espnet_robust.score.study import Estimate, study


@dataclass(frozen=True)
class Material:
    """A corpus: its title, its licence, and its language if it is speech."""

    title: str
    licence: str
    language: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """The facts that a card is written from.

    Args:
        scores: the scores of the recogniser or classifier.
        intervals: condition -> WER or accuracy, with a 95 % interval.
        provenance: how the student was distilled; empty if there is no student.
        data: corpora of speech, noises and rooms.
        teacher: its name and its licence.
        command: the command that trained it, in the directory ``recipe`` of the checkout.
        commit: the commit that trained it, or else that of the checkout.
        remote: https address of the checkout's repository; empty if it has none.
        licence: licence of the published model: an identifier of the hub, or ``other``.
    """

    scores: Scores
    intervals: Mapping[str, Estimate]
    provenance: Mapping[str, Any]
    data: Sequence[Material]
    teacher: tuple[str, str]
    recipe: str
    command: str
    commit: str
    remote: str
    licence: str

    @property
    def metric(self) -> Metric:
        return _metric(self.scores)


def read_facts(
    exp: Path, recipe: Path, noise_source: str, teacher: str, command: str, licence: str
) -> RunFacts:
    """Read the facts of the run of one system and seed.

    Args:
        exp: its directory, which holds ``scores.json``, ``counts.tsv`` and ``student``.
        recipe: directory of the recipe, CORPUS/TASK.
        noise_source: a YAML in conf/noise.
        teacher: hub id or directory; the teacher recorded in the student takes precedence.

    Raises:
        UserError: the system has not been scored yet, or a file is damaged.
    """
    if not (exp / "scores.json").is_file():
        raise UserError(f"{exp}/scores.json: not found; score the system first, in stage 9")
    scores = read_scores(exp / "scores.json")
    provenance: Mapping[str, Any] = {}
    if (exp / "student/config.yaml").is_file():
        provenance = read_yaml(exp / "student/config.yaml").get("provenance") or {}
    place = recipe.resolve()
    name = _name(provenance.get("teacher") or teacher, place)
    known = read_yaml(CONF / "licences.yaml")
    return RunFacts(
        scores=scores,
        intervals=_intervals(exp, _metric(scores)),
        provenance=provenance,
        data=[_material(known["corpora"], corpus) for corpus in _corpora(place, noise_source)],
        teacher=(name, known["teachers"].get(name, "unknown here")),
        recipe=f"egs/{place.parent.name}/{place.name}",
        command=shown_command(command, place),
        commit=made_by(exp / scores.task) or commit() or "unknown (no git checkout)",
        remote=_remote(place),
        licence=licence,
    )


def _metric(scores: Scores) -> Metric:
    return ACCURACY if scores.conditions[0].accuracy is not None else WER


def _name(teacher: Any, recipe: Path) -> str:
    """The name of a teacher, or of several, without directories of this machine."""
    names = [str(one) for one in (teacher if isinstance(teacher, list) else [teacher])]
    return ", ".join(_without_machine(name, recipe) for name in names)


def _without_machine(name: str, recipe: Path) -> str:
    path = (recipe / name).resolve()
    if name and path.is_dir() and path.is_relative_to(CHECKOUT.resolve()):
        return str(path.relative_to(CHECKOUT.resolve()))
    return path.name if Path(name).is_absolute() else name


def _corpora(recipe: Path, noise_source: str) -> list[str]:
    return [recipe.parent.name, *(d["corpus"] for d in read_noise_source(noise_source).data)]


def _material(known: Mapping[str, Mapping], corpus: str) -> Material:
    return Material(**known.get(corpus, {"title": corpus, "licence": "unknown here"}))


def _intervals(exp: Path, metric: Metric) -> dict[str, Estimate]:
    """The rate of every condition with its interval, as in the report."""
    reading = read_runs([exp / "scores.json"])
    return dict(next(iter(study(reading, metric).rates.values())))


def _remote(directory: Path) -> str:
    """The address that the checkout was cloned from, if it is public."""
    command = ["git", "-C", str(directory), "config", "--get", "remote.origin.url"]
    try:
        url = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""  # no git, no checkout, or no remote
    return url if url.startswith("https://") and "@" not in url else ""


def versions() -> dict[str, str]:
    """{package: version} of the packages that decide a result."""
    found = {}
    for package in ("espnet_robust", "espnet", "torch", "transformers", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
