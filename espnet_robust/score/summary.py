"""The results in a few columns, for a terminal: groups of conditions instead of single ones."""

from collections.abc import Sequence

from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import Metric
from espnet_robust.score.results import Results, Spread, stem
from espnet_robust.score.study import MEAN, Estimate, Study
from espnet_robust.score.tables import NOTHING, with_interval

NOISES = 3  # as many series of SNRs are shown one by one


def summary(study: Study) -> str:
    """Lines of at most 100 characters: clean, groups, mean, and the change against the baseline."""
    results, metric, baseline = study.results, study.metric, study.baseline
    grouped = groups(results)
    header = ["system", *grouped]
    if results.distorted:
        header.append("mean distorted")
    rows = []
    for system in results.systems:
        sets = [*grouped.values(), *([results.distorted] if results.distorted else [])]
        means = (Spread.of(system.averaged(names, metric)) for names in sets)
        rows.append([system.name, *(f"{m.mean:.1f}" if m else NOTHING for m in means)])
    if baseline and results.distorted:
        reference = study.rates[baseline].get(MEAN)
        header += [f"against {baseline}", "points [95%]"]
        for system, row in zip(results.systems, rows, strict=True):
            points = study.changes.get(system.name, {}).get(MEAN)
            row.append(relative(points, reference, metric))
            known = points if points is not None and points.low is not None else None
            row.append(with_interval(known, "+.1f") if known else NOTHING)
    seeds = max(len(system.runs) for system in results.systems)
    title = metric.title + (f", mean over {seeds} seeds" if seeds > 1 else "")
    return f"{title}\n\n{_aligned(header, rows)}"


def relative(points: Estimate | None, reference: Estimate | None, metric: Metric) -> str:
    """A change in points for an accuracy, relative to the baseline for an error rate."""
    if points is None or reference is None:
        return NOTHING
    if metric.higher_is_better:
        return f"{points.value:+.1f}"
    return NOTHING if not reference.value else f"{100 * points.value / reference.value:+.0f} %"


def groups(results: Results) -> dict[str, list[str]]:
    """Title -> conditions: clean, noises by their series of SNRs, rooms, and whatever else."""
    found: dict[str, list[str]] = {}
    noises = {stem(c) for c in results.conditions if c.snr_db is not None and not _room(c.name)}
    for condition in results.conditions:
        if condition.name == CLEAN:
            title = CLEAN
        elif _room(condition.name):
            title = "rooms"
        elif condition.snr_db is None:
            title = "other"
        else:
            title = stem(condition).replace("_", " ") if len(noises) <= NOISES else "noise"
        found.setdefault(title, []).append(condition.name)
    order = {CLEAN: 0, "rooms": 2, "other": 3}
    return {title: found[title] for title in sorted(found, key=lambda t: order.get(t, 1))}


def _room(name: str) -> bool:
    return "reverb" in name or "room" in name


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right; titles over two lines if need be."""
    words = [title.rsplit(" ", 1) if " " in title else ["", title] for title in header]
    lines = [[above for above, _ in words], [below for _, below in words], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = []
    for line in lines:
        first, *others = (
            text.ljust(width) if number == 0 else text.rjust(width)
            for number, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        shown.append("  ".join([first, *others]).rstrip())
    return "\n".join(line for line in shown if line) + "\n"
