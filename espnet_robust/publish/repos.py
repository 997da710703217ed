"""The repositories on the hub for packed models."""

from pathlib import Path

from espnet_robust.common.errors import UserError

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
