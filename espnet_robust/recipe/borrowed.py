"""Students of other experiments, used through links."""

from pathlib import Path

from espnet_robust.common.errors import ModelError


def borrow_student(theirs: Path, out: Path) -> None:
    """Make ``out`` a link to the student of another experiment.

    Raises:
        ModelError: there is no student, or ``out`` is a student distilled here.
    """
    if not (theirs / "model.safetensors").is_file():
        raise ModelError(f"{theirs}: no student in it; distil it in that recipe first")
    if out.exists() and not out.is_symlink():
        raise ModelError(
            f"{out}: was distilled in this experiment; to use other students, add --tag NAME"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    out.symlink_to(theirs.resolve())
