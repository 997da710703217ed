"""Read the CSV tables of corpora."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.corpora.layout import read_text


def read_rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, {column: entry}) for each row of a table whose first line names its columns.

    Args:
        columns: those that each row must have; there may be others.

    Raises:
        DataDirError: the table is missing or in another encoding, or lacks a column.
    """
    # Some tables begin with a byte-order mark, which is no part of the first name.
    text = read_text(table).removeprefix("\ufeff")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [column for column in columns if column not in (rows.fieldnames or ())]:
        raise DataDirError(
            f"{table}: no column {missing[0]!r} in its first line; it must name"
            f" {', '.join(columns)}, separated by commas; is it the published table?"
        )
    for row in rows:
        if None in (row[column] for column in columns):
            raise DataDirError(f"{table}:{rows.line_num}: fewer columns than in the first line")
        yield rows.line_num, row
