"""A metric as a plot: curves over SNR and RT60, bars for other conditions; and against the cost."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from espnet_robust.common.files import write_atomic
from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.figures import Series, series
from espnet_robust.score.study import MEAN, Estimate, Study

# Okabe & Ito: told apart with any colour vision, and in print. Black and yellow are left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "osD^vPX*"
FORMATS = ("png", "svg")

# Field of ``Scores`` -> label of its axis, and what it is divided by.
_COSTS = {
    "speech_model_params": ("parameters of the speech model, M", 1e6),
    "macs": ("multiply-accumulates for 1 s, M", 1e6),
    "rtf": ("real-time factor of decoding", 1.0),
}


def draw(path: Path, study: Study) -> None:
    """Write PATH.png and PATH.svg: a panel for each series, one with bars for all others.

    Each system has its colour. Error bars are 95 % intervals. The same results give the same bytes.
    """
    curves = series(study.results)
    in_curves = {name for one in curves for name in one.points}
    bars = [name for name in study.results.names if name not in in_curves]
    if curves and bars == [CLEAN]:
        bars = []  # it stands beside each curve
    systems = study.results.systems
    width_of_bars = max(2.4, 0.16 * len(bars) * (len(systems) + 1.5))
    widths = [3.0] * len(curves) + ([width_of_bars] if bars else [])
    figure = Figure(figsize=(sum(widths) + 1.2, 4.4), layout="constrained")
    axes = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    styles = _styles(study)
    for axis, one in zip(axes, curves, strict=False):
        _draw_series(axis, study, one, styles)
    if bars:
        _draw_bars(axes[-1], study, bars, styles)
    _finish(figure, axes, study)
    _save(figure, path)


def draw_cost(path: Path, study: Study) -> bool:
    """Write PATH.png and PATH.svg: the mean distorted condition against size, work and time.

    Returns:
        whether there was anything to draw: a cost that is known of two systems.
    """
    row = MEAN if MEAN in study.rows else study.rows[-1]
    points: dict[str, dict[str, float]] = {}
    for field, (_, unit) in _COSTS.items():
        for name in study.rates:
            costs = [getattr(run.scores, field) for run in study.reading.of(name)]
            known = [cost / unit for cost in costs if cost]
            if known and row in study.rates[name]:
                points.setdefault(field, {})[name] = sum(known) / len(known)
    points = {field: at for field, at in points.items() if len(at) > 1}
    if not points:
        return False
    figure = Figure(figsize=(3.4 * len(points) + 1.2, 4.0), layout="constrained")
    axes = figure.subplots(1, len(points), sharey=True, squeeze=False)[0]
    styles = _styles(study)
    for axis, (field, at) in zip(axes, points.items(), strict=True):
        for name, cost in at.items():
            rate = study.rates[name][row]
            axis.errorbar(
                [cost], [rate.value], yerr=_bars([rate]), label=name, linestyle="none", capsize=2,
                **styles[name],
            )  # fmt: skip
        axis.set_xscale("log")
        for formatter in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
            formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
        axis.set_xlabel(_COSTS[field][0])
    _finish(figure, axes, study, f", {row}")
    _save(figure, path)
    return True


def _finish(figure: Figure, axes: Sequence[Axes], study: Study, what: str = "") -> None:
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.grid(axis="y", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(study.metric.title + what)
    handles, labels = axes[0].get_legend_handles_labels()
    entry = 0.8 + 0.09 * max(map(len, labels))  # inches, roughly
    columns = min(len(labels), max(1, int(figure.get_figwidth() / entry)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def _save(figure: Figure, path: Path) -> None:
    for kind in FORMATS:
        content = io.BytesIO()
        # No time, no random ids: the same results give the same bytes.
        with rc_context({"svg.hashsalt": "espnet_robust"}):
            figure.savefig(content, dpi=150, format=kind, metadata=_METADATA[kind])
        write_atomic(path.with_name(f"{path.name}.{kind}"), content.getvalue())


_METADATA: dict[str, dict] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def _styles(study: Study) -> dict[str, dict]:
    """System name -> colour and marker."""
    systems = study.results.systems
    colours: Sequence = COLOURS
    if len(systems) > len(COLOURS):
        colours = [colormaps["tab20"](i) for i in range(20)]
    return {
        s.name: {"color": colours[i % len(colours)], "marker": MARKERS[i % len(MARKERS)]}
        for i, s in enumerate(systems)
    }


def _rates(study: Study, system: str, names: Sequence[str]) -> list[Estimate]:
    """NaN, which matplotlib skips, where not measured."""
    return [study.rates[system].get(name, Estimate(float("nan"))) for name in names]


def _bars(rates: Sequence[Estimate]) -> list[list[float]]:
    """How far intervals reach below and above; 0 where there are none."""
    below = [max(0.0, r.value - r.low) if r.low is not None else 0.0 for r in rates]
    above = [max(0.0, r.high - r.value) if r.high is not None else 0.0 for r in rates]
    return [below, above]


def _draw_series(axis: Axes, study: Study, one: Series, styles: dict) -> None:
    names, places = list(one.points), list(one.points.values())
    digits = 2 if one.axis.startswith("RT60") else 3  # medians of rooms: 0.25, not 0.252
    ticks = {place: f"{place:.{digits}g}" for place in places}
    # Clean speech has no place on a scale of SNR or RT60: beside it, joined by no line.
    beside = places[0] + 0.25 * (places[0] - places[-1])
    for system in study.rates:
        style = styles[system] | {"capsize": 2}
        rates = _rates(study, system, names)
        axis.errorbar(places, [r.value for r in rates], yerr=_bars(rates), label=system, **style)
        if CLEAN in study.results.names:
            ticks[beside] = CLEAN
            rates = _rates(study, system, [CLEAN])
            axis.errorbar([beside], [rates[0].value], yerr=_bars(rates), linestyle="none", **style)
    axis.set_xticks(list(ticks), list(ticks.values()))
    if places[0] > places[-1]:
        axis.invert_xaxis()  # harder to the right
    axis.set_xlabel(one.axis)
    axis.set_title(one.name, fontsize="medium")


def _draw_bars(axis: Axes, study: Study, names: list[str], styles: dict) -> None:
    count = len(study.rates)
    width = 0.8 / count
    for i, system in enumerate(study.rates):
        rates = _rates(study, system, names)
        axis.bar(
            [x + (i - (count - 1) / 2) * width for x in range(len(names))],
            [r.value for r in rates],
            width,
            yerr=_bars(rates),
            label=system,
            capsize=2,
            color=styles[system]["color"],
        )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
