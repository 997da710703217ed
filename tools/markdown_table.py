"""Tables that the benchmarks print."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> str:
    """Markdown.

    Args:
        columns: {key of a row: (heading, format, as in ``.2f``)}; what a row lacks, or has None
            for, stays empty.
    """
    lines = [[heading for heading, _ in columns.values()]]
    lines.append(["---:" if form else "---" for _, form in columns.values()])
    for row in rows:
        values = [(row.get(key), form) for key, (_, form) in columns.items()]
        lines.append(["" if v is None else format(v, form) for v, form in values])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
