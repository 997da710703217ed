"""Packed models: what they were made of, and their repositories on the hub."""

from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import FILE, STUDENT_FILES, Output, damage, sha256, summary

KINDS = ("asr", "cls", "student")


def repo_of(prefix: str, exp: Path, kind: str) -> str:
    """The repository of one model of a system.

    >>> repo_of("me/mini", Path("exp/short/cdm1_seed0"), "student")
    'me/mini-cdm1_seed0-student'
    """
    return f"{prefix}-{exp.name}-{kind}"


def packed_folders(prefix: str, exp: Path) -> list[tuple[Path, str]]:
    """(directory, repository) for everything packed for a system.

    Raises:
        UserError: nothing is packed.
    """
    packed = exp / "packed"
    found = [(packed / kind, repo_of(prefix, exp, kind)) for kind in KINDS]
    found = [(folder, repo) for folder, repo in found if folder.is_dir()]
    if not found:
        raise UserError(f"{packed}: nothing is packed there; pack the system first, in stage 11")
    return found


def packed(exp: Path, task: str, checkpoint: str) -> Output:
    """What ``pack`` makes of a system: EXP/packed, from its model, student and scores."""
    names = [f"{task}/config.yaml", f"{task}/{checkpoint}", "scores.json"]
    if (exp / "student").is_dir():
        names += [f"student/{name}" for name in STUDENT_FILES]
    return Output(exp / "packed", {name: sha256(exp / name) for name in names})


def check_packed(exp: Path) -> None:
    """Raise UserError unless what is packed for a system was made of its present files."""
    path = exp / "packed"
    record = read_json(path / FILE) if (path / FILE).is_file() else {}
    now = {name: sha256(exp / name) for name in record.get("made_of") or {}}
    changes = Output(path, now).changes()
    if wrong := summary(changes) or damage(path):
        raise UserError(
            f"{path}: was made of something else: {wrong}; pack the system again, in stage 11"
        )
