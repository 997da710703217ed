"""Upload packed models to the hub with huggingface_hub.

A missing repository is created. Files that are already there, from an earlier or interrupted
upload, are not sent again; a commit holds all files or none.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import product
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.experiment import NOT_DISTILLED
from espnet_robust.publish.repos import repo_of

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN, using a token with write access"


def check_repo(repo: str) -> None:
    """Raise UserError if this cannot be the name of a repository on the hub."""
    if not _is_repo(repo):
        raise UserError(
            f"--upload_hf {repo!r} is not a repository name on the hub; write USER/NAME with "
            "letters, digits and . _ - (no .. or --, at most 96 characters)"
        )


def _is_repo(name: str) -> bool:
    return bool(_REPO.fullmatch(name)) and ".." not in name and "--" not in name and len(name) <= 96


def check_repos(prefix: str, systems: Iterable[str], seeds: Sequence[str], task: str) -> None:
    """Check the names of all repositories that stage 12 uploads to.

    Args:
        prefix: --upload_hf.
        task: asr or cls.

    Raises:
        UserError: ``prefix``, or a name made of it, cannot be a repository.
    """
    check_repo(prefix)
    for system in systems:
        kinds = (task,) if system in NOT_DISTILLED else (task, "student")
        for seed, kind in product(seeds, kinds):
            check_repo_of(prefix, repo_of(prefix, Path(f"{system}_seed{seed}"), kind))


def check_repo_of(prefix: str, repo: str) -> None:
    """Raise UserError if ``repo``, made of ``prefix``, cannot be a name on the hub."""
    if not _is_repo(repo):
        raise UserError(
            f"--upload_hf {prefix!r}: a model's repository would be {repo}, of {len(repo)} "
            "characters; on the hub a name has no .. or -- and at most 96: change USER/NAME"
        )


def check_upload(repo: str, stages: Collection[int]) -> None:
    """Raise UserError if stage 12 is to run but cannot upload, or if it must run but does not."""
    if 12 in stages and not repo:
        raise UserError("stage 12 uploads to the hub: name a repository, --upload_hf USER/NAME")
    if repo:
        check_repo(repo)
        if not {11, 12} & {*stages}:
            raise UserError("--upload_hf: stage 12 uploads: add --stop_stage 12")
    if 12 in stages:
        check_token()


def check_token() -> None:
    """Raise UserError if there is no token to upload with."""
    from huggingface_hub import get_token

    if not get_token():
        raise UserError(f"upload: no token for the hub; {LOG_IN}")


def upload(folder: Path, repo: str, private: bool = False) -> str:
    """Upload a directory; return its address.

    Raises:
        UserError: there is no such directory or no card in it; the name is invalid or somebody
            else's; the token is missing or has no write access; or the hub cannot be reached.
    """
    check_repo(repo)
    if not (folder / "README.md").is_file():
        raise UserError(f"{folder}: no README.md there; pack the system first, in stage 11")
    check_token()
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub  # its HTTPError is that of its own HTTP client

    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="By espnet_robust")
    except hub.HfHubHTTPError as e:
        raise UserError(_refused(repo, e)) from e
    except hub.OfflineModeIsEnabled as e:
        raise UserError("upload: HF_HUB_OFFLINE is set; unset it") from e
    except (hub.HTTPError, OSError, RuntimeError) as e:
        raise UserError(
            f"upload of {folder} to {repo} failed: {_first_line(e)}; run it again: files that are "
            "already there are not sent again"
        ) from e
    return f"{api.endpoint}/{repo}"


def _refused(repo: str, error: Exception) -> str:
    """What an HTTP status from the hub means for the user."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if status == 401:
        return f"upload: the hub rejects this token; {LOG_IN}"
    if status in (403, 404):
        owner = repo.partition("/")[0]
        return (
            f"upload: the hub refuses {repo}: there is no user or organisation {owner!r}, or this "
            f"token has no access to it ({_first_line(error)}); {LOG_IN}, or change --upload_hf"
        )
    if status >= 500:
        return (
            f"upload to {repo} failed: {_first_line(error)}; run it again: files that are already "
            "there are not sent again"
        )
    return f"upload: the hub refuses {repo}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:  # huggingface_hub names the file, the cause says why
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
