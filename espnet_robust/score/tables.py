"""The tables of a report: a row per condition, a column per system. ``formats.py`` writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espnet_robust.score.figures import (
    GroupRates,
    degradation,
    doubling_snr,
    series,
    shown_group,
)
from espnet_robust.score.metrics import CER, Metric
from espnet_robust.score.probes import PROBES, read_probe
from espnet_robust.score.reading import Run, known_speakers
from espnet_robust.score.results import Spread, System
from espnet_robust.score.study import MEAN, Estimate, Study

NOTHING = "-"
MINUS = "\N{MINUS SIGN}"
BETTER, WORSE = "+", MINUS  # than the baseline, significantly


@dataclass(frozen=True)
class Table:
    """The content of a Markdown or LaTeX table.

    Args:
        title: empty for a table that continues the section.
        header, rows: cells as text, not yet escaped.
        notes: lines below it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def tables(study: Study, groups: GroupRates | None = None) -> list[Table]:
    """All tables of one metric; those without content are left out."""
    found = [rates_table(study)]
    if study.baseline and study.changes:
        found.append(changes_table(study))
    found += [edits_table(study), figures_table(study)]
    if groups is not None:
        found.append(groups_table(study, groups))
    return [table for table in found if table.rows]


def rates_table(study: Study) -> Table:
    """The metric by condition and system, with intervals and marks."""
    names = [s.name for s in study.results.systems]
    header = ["condition", "utterances", "speakers", *names]
    rows = [
        [row, *_sizes(study, row), *(_rate(study, name, row) for name in names)]
        for row in study.rows
    ]
    notes = [f"`{MEAN}`: mean over all conditions but `clean`, with equal weights."] * (
        MEAN in study.rows
    )
    if any(e.std is not None for rates in study.rates.values() for e in rates.values()):
        notes.append("`±`: standard deviation over seeds.")
    if any(e.low is not None for rates in study.rates.values() for e in rates.values()):
        notes.append(_interval_note(study))
    if study.changes:
        what = "higher" if study.metric.higher_is_better else "lower"
        notes.append(
            f"`{BETTER}`, `{WORSE}`: better, worse than {study.baseline} ({what} is better), "
            f"p < 0.05 by matched pairs, {_holm_note(study)}."
        )
    return Table(study.metric.title, header, rows, notes)


def changes_table(study: Study) -> Table:
    """Differences from the baseline."""
    names = list(study.changes)
    rows = [[row, *(_change(study.changes[n].get(row)) for n in names)] for row in study.rows]
    note = (
        "`p`: probability of a difference at least this large between equal systems, by matched "
        f"pairs, {_holm_note(study)}."
    )
    title = f"{study.metric.name}: difference from {study.baseline}, points"
    return Table(title, ["condition", *names], rows, [note])


def edits_table(study: Study) -> Table:
    """Substitutions, deletions and insertions, in per cent of the words or characters."""
    systems = study.results.systems
    rows = []
    for name in study.results.names:
        found = [edits(system, name, study.metric) for system in systems]
        rows.append([name, *(" / ".join(f"{x:.1f}" for x in one) or NOTHING for one in found)])
    if all(cell == NOTHING for row in rows for cell in row[1:]):
        rows = []
    long = "characters" if study.metric == CER else "words"
    title = f"Substitutions / deletions / insertions, % of the {long}"
    return Table(title, ["condition", *(s.name for s in systems)], rows, [_alignment_note(study)])


def edits(system: System, condition: str, metric: Metric) -> list[float]:
    """[substitutions, deletions, insertions] in per cent; [] for labels, or where a seed is
    missing, as for rates."""
    errors, units = ("char_errors", "chars") if metric == CER else ("errors", "words")
    scores = [score for run in system.runs if (score := run.condition(condition))]
    counts = [getattr(score, errors) for score in scores]
    total = sum(getattr(score, units) or 0 for score in scores)
    if not total or len(scores) < len(system.runs) or None in counts:
        return []
    return [100 * sum(count[kind] for count in counts) / total for kind in ("sub", "del", "ins")]


def figures_table(study: Study) -> Table:
    """Degradation, and the SNR at which errors double."""
    names = [s.name for s in study.results.systems]
    lost = {name: degradation(study, name) for name in names}
    rows = []
    if any(lost.values()):
        rows.append(["mean distorted minus clean, points", *(_points(lost[n]) for n in names)])
        rows.append(
            ["errors, as a multiple of those on clean speech", *(_times(lost[n]) for n in names)]
        )
    for one in series(study.results):
        if one.axis.startswith("SNR"):
            cells = [doubling_snr(study, name, one) or NOTHING for name in names]
            if any(cell != NOTHING for cell in cells):
                rows.append([f"SNR at which errors double, {one.name}, dB", *cells])
    return Table(f"{study.metric.name}: robustness", ["", *names], rows)


def groups_table(study: Study, groups: GroupRates) -> Table:
    """Clean and distorted speech by group of speakers."""
    names = [s.name for s in study.results.systems]
    rows = [
        [f"{group}, {title}", str(size), *cells]
        for group, size in groups.groups.items()
        for place, title in enumerate(("clean", MEAN))
        if (cells := [_group(study.metric, groups, name, group, place) for name in names])
    ]
    return Table(f"{study.metric.name} by group of speakers", ["group", "speakers", *names], rows)


def systems_table(study: Study) -> Table:
    """Size, cost, domain probes and commit of every system."""
    runs = {s.name: study.reading.of(s.name) for s in study.results.systems}
    columns: dict[str, Callable[[list[Run]], str]] = {
        "seeds": lambda r: " ".join(str(run.scores.seed) for run in r),
        "speech model, parameters": lambda r: _millions(r[0].scores.speech_model_params),
        "recogniser on it, parameters": lambda r: _millions(_rest(r[0])),
        "all parameters": lambda r: _millions(r[0].scores.params),
        "speech model, multiply-accumulates for 1 s of speech": lambda r: _millions(
            r[0].scores.macs
        ),
        "real-time factor": lambda r: _significant(Spread.of(run.scores.rtf for run in r)),
        "domain probe of the mean": lambda r: _probe(r, PROBES[0]),
        "domain probe of the deviation": lambda r: _probe(r, PROBES[1]),
        "commit": lambda r: " ".join(sorted({run.commit for run in r if run.commit})) or NOTHING,
    }
    rows = [[what, *(cell(r) for r in runs.values())] for what, cell in columns.items()]
    rows = [row for row in rows if any(cell != NOTHING for cell in row[1:])]
    where = sorted({_measured_on(run) for r in runs.values() for run in r if run.scores.rtf})
    notes = [
        f"Real-time factor: decoding time over duration of speech, on {' or '.join(where)}."
    ] * bool(where)
    if any(row[0].startswith("domain probe") for row in rows):
        notes.append(
            "Domain probe: balanced accuracy with which a linear classifier tells clean from "
            "distorted development data, by the mean or the deviation over time of the student's "
            "last layer; 0.5 is chance."
        )
    return Table("Systems", ["", *runs], rows, notes)


def conditions_table(study: Study) -> Table:
    """What each condition is."""
    rows = []
    for c in study.results.conditions:
        cells = [_number(c.snr_db), _number(c.rt60), c.utterances, c.words, c.speakers]
        shown = [NOTHING if cell is None else str(cell) for cell in cells]
        rows.append([c.name, c.meaning or NOTHING, *shown])
    header = ["condition", "speech", "SNR, dB", "RT60, s", "utterances", "words", "speakers"]
    return Table("Conditions", header, rows)


def _sizes(study: Study, row: str) -> list[str]:
    condition = next((c for c in study.results.conditions if c.name == row), None)
    if condition is None:
        return ["", ""]
    speakers = study.speakers.get(row)
    return [str(condition.utterances), NOTHING if speakers is None else str(speakers)]


def _rate(study: Study, system: str, row: str) -> str:
    rate = study.rates[system].get(row)
    if rate is None:
        return NOTHING
    return with_interval(rate) + mark(study, system, row)


def mark(study: Study, system: str, row: str) -> str:
    """`` +`` or a minus if a system differs significantly from the baseline, else nothing."""
    change = study.changes.get(system, {}).get(row)
    if change is None or not change.significant:
        return ""
    better = (change.value > 0) == study.metric.higher_is_better
    return f" {BETTER if better else WORSE}"


def with_interval(rate: Estimate, form: str = ".1f") -> str:
    """
    >>> with_interval(Estimate(29.36, 26.0, 33.04, 0.94))
    '29.4 ± 0.9 [26.0, 33.0]'
    """
    text = f"{rate.value:{form}}"
    if rate.std is not None:
        text += f" ± {rate.std:.1f}"
    if rate.low is not None and rate.high is not None:
        text += f" [{rate.low:{form}}, {rate.high:{form}}]"
    return text


def _change(change: Estimate | None) -> str:
    if change is None:
        return NOTHING
    p = "" if change.p is None else ", p < 0.001" if change.p < 0.001 else f", p = {change.p:.3f}"
    return with_interval(change, "+.1f") + p


def _interval_note(study: Study) -> str:
    known = len(known_speakers(study.reading, study.results.names)) > 1
    text = "`[ , ]`: 95 % interval, by bootstrap over "
    text += "speakers" if known else "utterances (fewer than two speakers are known)"
    if any(len(s.runs) > 1 for s in study.results.systems):
        text += " and, if there are several, over seeds"
    return text + "."


def _holm_note(study: Study) -> str:
    text = "with Holm's correction over the conditions of a system"
    return text + f"; the p of `{MEAN}`, one test, is not corrected" * (MEAN in study.rows)


def _alignment_note(study: Study) -> str:
    scores = study.reading.runs[0].scores
    how = {
        "fewest": "Alignment with the fewest errors and, among those, the fewest substitutions.",
        "sclite": "Alignment as in sclite: a substitution costs 4, an insertion or deletion 3.",
    }[scores.alignment]
    changed = scores.normalised
    return how + (f" Texts were normalised: {changed}." if changed else "")


def _points(lost: tuple[float, float | None] | None) -> str:
    return NOTHING if lost is None else f"{lost[0]:+.1f}"


def _times(lost: tuple[float, float | None] | None) -> str:
    return NOTHING if lost is None or lost[1] is None else f"{lost[1]:.1f}"


def _group(metric: Metric, groups: GroupRates, system: str, group: str, place: int) -> str:
    rates = groups.rates.get((system, group))
    return NOTHING if rates is None else shown_group(metric, rates[place])


def _rest(run: Run) -> int | None:
    scores = run.scores
    if scores.params is None or scores.speech_model_params is None:
        return None
    return scores.params - scores.speech_model_params


def _millions(count: int | None) -> str:
    return NOTHING if count is None else f"{count / 1e6:.2f} M"


def _probe(runs: Sequence[Run], probe: str) -> str:
    spread = Spread.of(read_probe(run.experiment, probe) for run in runs)
    if spread is None:
        return NOTHING
    return f"{spread.mean:.2f}" + ("" if spread.std is None else f" ± {spread.std:.2f}")


def _significant(spread: Spread | None) -> str:
    return NOTHING if spread is None else f"{spread.mean:.2g}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"


def _measured_on(run: Run) -> str:
    if run.scores.device not in (None, "cpu"):
        return str(run.scores.device)
    if run.scores.threads is None:
        return "a CPU"
    return f"{run.scores.threads} CPU thread{'' if run.scores.threads == 1 else 's'}"
