"""What git says of the checkout; nothing where there is none."""

import subprocess
from pathlib import Path


def commit_of(directory: Path) -> str:
    """The commit of the checkout around a directory, "with changes" where it has any."""
    commit = _git(directory, "rev-parse", "--short=7", "HEAD")
    if not commit:
        return "unknown (no git checkout)"
    changed = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return commit + (" with changes" if changed else "")


def remote_of(directory: Path) -> str:
    """Where the checkout was cloned from, if others can reach that; else nothing."""
    url = _git(directory, "config", "--get", "remote.origin.url")
    return url if url.startswith("https://") and "@" not in url else ""


def _git(directory: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
