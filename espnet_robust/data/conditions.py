"""The condition of a test set, as stored in ``condition.json`` in its data dir.

Distorted copies have this file, and so do real recordings made in noise or with several
microphones. A data dir without it is undistorted.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.common.files import read_json, write_atomic
from espnet_robust.data.data_dir import iter_table

CLEAN = "clean"  # the name of the undistorted condition
FILE = "condition.json"

_NAME = re.compile(r"\w[\w.+-]{0,99}")  # it becomes part of file names


@dataclass(frozen=True)
class Condition:
    """One column of the results table.

    Args:
        name: the data dir is called SET_NAME; ``clean`` is undistorted.
        snr_db: the condition's SNR in dB; None if it has none or several.
        protocol: the protocol YAML that defines it; None if it was made or recorded on its own.
    """

    name: str
    snr_db: float | None = None
    protocol: str | None = None


def check_name(name: Any, where: str | Path) -> str:
    """Return the name if a condition may have it: it is used in file names, so no blanks, no slash.

    Raises:
        ConfigError: it may not; the message begins with ``where``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} cannot name a condition: use letters, digits and _ . + -, and begin"
            " with a letter, digit or _"
        )
    return name


def read_condition(data_dir: str | Path) -> Condition:
    """The condition of a test set; without ``condition.json`` it is undistorted.

    Raises:
        UserError: the directory is missing, its ``condition.json`` is invalid, or it has none
            although its audio was distorted.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise UserError(f"{data_dir}: no such data dir; has the stage that makes it been run?")
    path = data_dir / FILE
    if not path.exists():
        _refuse_nameless(data_dir)
        return Condition(CLEAN)
    content = read_json(path)
    name, snr, protocol = (content.get(key) for key in ("name", "snr_db", "protocol"))
    if not isinstance(snr, int | float | None) or isinstance(snr, bool):
        raise UserError(f"{path}: snr_db must be a number or null, not {snr!r}")
    return Condition(check_name(name, path), snr, None if protocol is None else str(protocol))


def _refuse_nameless(data_dir: Path) -> None:
    """Raise UserError if distorted speech would be taken for undistorted.

    Tools that do not know ``condition.json`` drop it when they copy or split a data dir. Kaldi's
    also drop ``utt2distortion``, but the audio still lies in the distorted copy.
    """
    copy = _copy_of_audio(data_dir)
    if copy is None and not (data_dir / "utt2distortion").exists():
        return
    problem = f"{data_dir}: distorted speech without {FILE}, so its condition is unknown"
    missing = shlex.quote(str(data_dir / FILE))
    if copy is not None and (copy / FILE).exists():
        raise UserError(f"{problem}; fix: cp {shlex.quote(str(copy / FILE))} {missing}")
    raise UserError(f'{problem}; fix: echo \'{{"name": "NAME"}}\' > {missing}')


def _copy_of_audio(data_dir: Path) -> Path | None:
    """The distorted copy that the first utterance belongs to, from its path
    COPY/audio/NUMBER[/ID.flac, .ark] or from the command that makes its audio."""
    try:
        _, entry = next(iter_table(data_dir / "wav.scp"), ("", ""))
    except DataDirError:
        return None  # whoever reads the tables reports what is wrong with them
    if "espnet_robust.bin.remake_utterance" in entry:
        return Path(shlex.split(entry)[-4])  # ... COPY ID - |
    above = Path(re.sub(r":\d+$", "", entry)).parents
    copies = (folder.parent for folder in above[:2] if folder.name == "audio")
    return next((copy for copy in copies if (copy / "utt2distortion").exists()), None)


def as_file(condition: Condition) -> dict[str, str]:
    """File name -> content, for ``write_data_dir``; nothing for the undistorted condition."""
    if condition.name == CLEAN:
        return {}
    content: dict[str, Any] = {"name": condition.name, "snr_db": condition.snr_db}
    if condition.protocol is not None:
        content["protocol"] = condition.protocol
    return {FILE: json.dumps(content) + "\n"}


def write_condition(data_dir: Path, condition: Condition) -> None:
    """Write ``condition.json``: {"name": ..., "snr_db": number or null, "protocol": its YAML, if it
    has one}. Nothing is written for ``clean``.

    Raises:
        DataDirError: it cannot be written.
    """
    path = data_dir / FILE
    try:
        write_atomic(path, as_file(condition)[FILE])
    except OSError as e:
        raise DataDirError(f"{path}: cannot be written: {e.strerror}") from None


def keep_condition(data_dir: Path, condition: Condition) -> None:
    """Write ``condition.json`` unless it already says the same."""
    with contextlib.suppress(UserError):
        if (data_dir / FILE).exists() and read_condition(data_dir) == condition:
            return
    write_condition(data_dir, condition)


def condition_dirs(test_set: str | Path, protocols: Sequence[str] | None = None) -> list[Path]:
    """The data dirs of a test set: itself, if undistorted, then SET_CONDITION for each condition.

    A data dir SET_X that is another test set, such as data/test_other, is recognised by its
    ``condition.json``.

    Args:
        protocols: of the conditions made by protocols, take only those of these protocols, named
            as when they were made; None: all.

    Raises:
        DataDirError: there are none.
        UserError: as for ``read_condition``.
    """
    test_set = Path(test_set)
    undistorted = (test_set / "wav.scp").is_file() and not (test_set / FILE).exists()
    dirs = [test_set] if undistorted else []
    for path in sorted(test_set.parent.glob(f"{test_set.name}_*")):
        if not path.is_dir():
            continue
        condition = read_condition(path)
        if protocols is not None and condition.protocol not in (None, *protocols):
            continue
        if path.name == f"{test_set.name}_{condition.name}" and condition.name != CLEAN:
            dirs.append(path)
    if not dirs:
        raise DataDirError(f"no test set {test_set}; has stage 1 been run?")
    return dirs


def by_test_set(data_dirs: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Test set -> condition -> data dir, where ``SET_CONDITION`` is a distorted copy of ``SET``.

    Raises:
        UserError: a directory is missing, its ``condition.json`` is invalid, or two directories
            are the same condition of test sets with the same name.
    """
    sets: dict[str, dict[str, Path]] = {}
    for data_dir in data_dirs:
        condition = read_condition(data_dir).name
        # LibriSpeech's test_clean is a test set of that name, not a copy of one named test.
        suffix = "" if condition == CLEAN else f"_{condition}"
        test_set = data_dir.name.removesuffix(suffix)
        other = sets.setdefault(test_set, {}).setdefault(condition, data_dir)
        if other.resolve() != data_dir.resolve():  # outputs are named after set and condition
            raise UserError(
                f"{other} and {data_dir} are both condition {condition!r} of a test set "
                f"{test_set!r}; rename one of them, or give each a command and --out of its own"
            )
    return sets
