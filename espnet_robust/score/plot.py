"""A metric as a plot: against SNR where conditions form a series, bars for the others."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_robust.common.files import write_atomic
from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import Metric
from espnet_robust.score.results import Results, Spread, System, stem

# Okabe & Ito: told apart with any colour vision, and in print. Black and yellow are left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "osD^vPX*"


def series(results: Results) -> dict[str, list[str]]:
    """Conditions that differ in SNR only: common name -> names of conditions, by falling SNR.

    ``noise_in_snr20``, ``noise_in_snr5`` are the series ``noise_in``. One alone is no series.
    """
    families: dict[str, list] = {}
    for condition in results.conditions:
        if condition.snr_db is not None:
            families.setdefault(stem(condition), []).append(condition)
    return {
        name: [c.name for c in members]
        for name, members in families.items()
        if len({c.snr_db for c in members}) > 1
    }


def draw(path: str | Path, results: Results, metric: Metric) -> None:
    """Write a PNG: a panel for each series of SNRs, one with bars for all other conditions.

    Each system has its colour. Error bars show the standard deviation over seeds. The same results
    give the same bytes.
    """
    lines = series(results)
    in_lines = {name for names in lines.values() for name in names}
    bars = [name for name in results.names if name not in in_lines]
    width_of_bars = max(2.4, 0.16 * len(bars) * (len(results.systems) + 1.5))
    widths = [3.0] * len(lines) + ([width_of_bars] if bars else [])
    figure = Figure(figsize=(sum(widths) + 1.2, 4.4), layout="constrained")
    axes = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    styles = _styles(results)
    for axis, (name, names) in zip(axes, lines.items(), strict=False):
        _draw_series(axis, results, metric, name, names, styles)
    if bars:
        _draw_bars(axes[-1], results, metric, bars, styles)
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.grid(axis="y", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(metric.title)
    handles, labels = axes[0].get_legend_handles_labels()
    entry = 0.8 + 0.09 * max(map(len, labels))  # inches, roughly
    columns = min(len(labels), max(1, int(figure.get_figwidth() / entry)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
    png = io.BytesIO()
    figure.savefig(png, dpi=150, format="png", metadata={"Software": None})
    write_atomic(path, png.getvalue())


def _styles(results: Results) -> dict[str, dict]:
    """System name -> colour and marker."""
    colours: Sequence = COLOURS
    if len(results.systems) > len(COLOURS):
        colours = [colormaps["tab20"](i) for i in range(20)]
    return {
        s.name: {"color": colours[i % len(colours)], "marker": MARKERS[i % len(MARKERS)]}
        for i, s in enumerate(results.systems)
    }


def _mean_std(system: System, condition: str, metric: Metric) -> tuple[float, float]:
    """Mean and standard deviation over seeds; NaN, which matplotlib skips, where not measured."""
    spread = Spread.of(system.at(condition, metric))
    return (spread.mean, spread.std or 0.0) if spread else (float("nan"), 0.0)


def _draw_series(
    axis: Axes, results: Results, metric: Metric, title: str, names: list[str], styles: dict
) -> None:
    snr = {c.name: c.snr_db for c in results.conditions if c.snr_db is not None}
    places = [snr[name] for name in names]
    ticks = {place: f"{place:g}" for place in places}
    # Clean speech has no place on a scale of SNR: beside it, joined by no line.
    beside = places[0] + 0.25 * (places[0] - places[-1])
    for system in results.systems:
        style = styles[system.name] | {"capsize": 2}
        mean, std = zip(*(_mean_std(system, name, metric) for name in names), strict=True)
        axis.errorbar(places, mean, yerr=std, label=system.name, **style)
        if CLEAN in results.names:
            ticks[beside] = CLEAN
            at_clean, spread = _mean_std(system, CLEAN, metric)
            axis.errorbar([beside], [at_clean], yerr=[spread], linestyle="none", **style)
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.invert_xaxis()  # harder to the right
    axis.set_xlabel("SNR, dB")
    axis.set_title(title, fontsize="medium")


def _draw_bars(
    axis: Axes, results: Results, metric: Metric, names: list[str], styles: dict
) -> None:
    count = len(results.systems)
    width = 0.8 / count
    for i, system in enumerate(results.systems):
        mean, std = zip(*(_mean_std(system, name, metric) for name in names), strict=True)
        places = [x + (i - (count - 1) / 2) * width for x in range(len(names))]
        axis.bar(
            places,
            mean,
            width,
            yerr=std if any(std) else None,
            label=system.name,
            capsize=2,
            color=styles[system.name]["color"],
        )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
