"""Tables and a plot from the scores of several systems.

``wer.md`` has a row for each system and a column for each condition, ``wer.png`` plots it, and
``wer.csv`` has a line for each system, seed and condition. For a classification task the files are
``accuracy.md``, ``accuracy.png`` and ``accuracy.csv``. ``summary.txt`` is what a terminal shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from espnet_robust.common.files import write_atomic
from espnet_robust.score.confidence import confidence_table
from espnet_robust.score.metrics import ACCURACY, METRICS, WER
from espnet_robust.score.plot import draw
from espnet_robust.score.results import Results, gather
from espnet_robust.score.schema import read_scores
from espnet_robust.score.summary import summary
from espnet_robust.score.tables import table, to_csv

SUMMARY = "summary.txt"


def write_report(
    out: str | Path,
    paths: Sequence[str | Path],
    *,
    baseline: str = "",
    order: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
) -> Results:
    """Read ``scores.json`` files, write ``wer.md``, ``wer.csv`` and ``wer.png`` into ``out``.

    Where no system has a WER, ``accuracy.md``, ``accuracy.csv`` and ``accuracy.png``.

    Args:
        out: directory, made if need be.
        paths: ``scores.json`` files; a ``counts.tsv`` beside each gives confidence intervals.
        baseline: name of the system with which the others are compared.
        order: see ``gather``.
        names: what to call the system of a file, where not as the file does.

    Raises:
        UserError: an unknown baseline, or see ``read_scores`` and ``gather``.
    """
    read = [(path, read_scores(path)) for path in map(Path, paths)]
    read = [(path, replace(s, system=names.get(path, s.system))) for path, s in read]
    results = gather((scores for _, scores in read), order)
    if baseline:
        results.system(baseline)
    directories = {(s.system, s.seed): path.parent for path, s in read}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tables = [table(results, metric, baseline) for metric in METRICS if results.measured(metric)]
    main = WER if results.measured(WER) else ACCURACY
    if results.measured(main):
        tables.append(confidence_table(results, main, baseline, directories))
        draw(out / f"{main.field}.png", results, main)
        write_atomic(out / SUMMARY, summary(results, main, baseline, directories))
    write_atomic(out / f"{main.field}.md", "\n".join(tables))
    write_atomic(out / f"{main.field}.csv", to_csv(results, main))
    return results
