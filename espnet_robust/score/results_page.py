"""Write RESULTS.md: what ran where, and the tables, so that no figure is typed by hand.

A command writes between two marker lines of the file; everything else in it stays::

    <!-- report: short -->
    ...
    <!-- end of report: short -->
"""

import datetime
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.made_of import commit
from espnet_robust.common.shown_command import shown_command

PACKAGES = ("espnet", "torch", "transformers", "numpy")


def write_results(
    path: Path,
    name: str,
    tables: Sequence[str],
    command: str,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Put a run's tables into ``path``, replacing those of an earlier run of the same name.

    Args:
        path: RESULTS.md; created if necessary.
        name: name of the run, such as its budget; one word.
        tables: Markdown.
        command: the command that made them.
        facts: what ran where; default: ``facts_here``.

    Raises:
        UserError: the name is not a word, or the file has only one of the two marker lines.
    """
    if not re.fullmatch(r"[\w./-]+", name) or "--" in name:
        raise UserError(f"--results {path}: {name!r} cannot name a run; use letters and digits")
    begin, end = f"<!-- report: {name} -->", f"<!-- end of report: {name} -->"
    facts = facts_here() if facts is None else facts
    said = "; ".join(f"{what} {value}" for what, value in facts.items())
    lines = [f"    {shown_command(command, Path())}", "", said]
    block = "\n".join([begin, "", *lines, "", *(t.strip() + "\n" for t in tables), end])
    before = path.read_text(encoding="utf-8") if path.exists() else f"# {_title(path)}\n"
    write_atomic(path, _placed(before, block, begin, end, path))


def _placed(text: str, block: str, begin: str, end: str, path: Path) -> str:
    """``text`` with its block replaced by ``block``, or with ``block`` at its end."""
    found = text.count(begin), text.count(end)
    if found == (0, 0):
        return f"{text.rstrip()}\n\n{block}\n"
    start, stop = text.find(begin), text.find(end)
    if found != (1, 1) or stop < start:
        raise UserError(
            f"{path}: need `{begin}` and then `{end}`, once each, found {found[0]} and {found[1]}; "
            "restore or remove them"
        )
    return text[:start] + block + text[stop + len(end) :]


def _title(path: Path) -> str:
    place = path.resolve().parent
    return f"Results of {place.parent.name}/{place.name}"


def facts_here() -> dict[str, str]:
    """The current date, commit, versions and machine."""
    found = {"Date": datetime.date.today().isoformat(), "commit": commit() or "unknown"}
    found["machine"] = f"{os.cpu_count()} x {_processor()}{_gpu()}"
    found["Python"] = platform.python_version()
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _gpu() -> str:
    """The first GPU's name, from Linux's driver, without torch."""
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in information.read_text().splitlines():
            if line.startswith("Model:"):
                return f", {line.partition(':')[2].strip()}"
    return ""
