"""Export a distillation experiment to a student directory."""

import pickle
from pathlib import Path

import torch

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError
from espnet_robust.common.made_of import STUDENT_FILES, Output, damage
from espnet_robust.distill.student_erasure import StudentErasure
from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import from_description, load_weights, save_student

PROVENANCE = (
    "target_norm",
    "teacher", "target_layers", "student_conf", "mapping", "distortion", "loss_conf", "dat",
    "dat_conf", "seed", "max_epoch", "num_iters_per_epoch", "student_mask_prob", "ema", "amp",
)  # fmt: skip
AVERAGE = "ema_student."  # if training kept a moving average, it is the student


def export_student(
    exp: Path, output: Output, checkpoint: str, erase_rank: int | None = None
) -> SpeechModel:
    """Write the student of a distillation experiment, without heads and adversary.

    Args:
        output: the student's directory, and what decides it.
        erase_rank: number of directions to erase, if it is not that of the experiment's ``erase``.

    Raises:
        ModelError, ConfigError: the experiment is incomplete, or was changed after training.
        UserError: an eraser is to be fitted, but the training set cannot be read.
    """
    if wrong := damage(exp):
        raise ModelError(f"{exp}: {wrong} by its training; train again")
    config = read_yaml(exp / "config.yaml")
    if not config.get("student_arch"):
        raise ModelError(f"{exp}/config.yaml: no student_arch; is this a distillation experiment?")
    try:
        state = torch.load(exp / checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise ModelError(f"{exp / checkpoint}: not found; has training finished?") from e
    except (RuntimeError, pickle.UnpicklingError, EOFError) as e:
        raise ModelError(f"{exp / checkpoint}: not a model file; train again") from e
    student = from_description(config["student_arch"], f"{exp}/config.yaml: student_arch")
    averaged = any(key.startswith(AVERAGE) for key in state)
    prefix = AVERAGE if averaged else "student."
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    load_weights(student, weights, str(exp / checkpoint))
    provenance = {key: config.get(key) for key in PROVENANCE}
    if erase_rank is not None:
        config["erase"] = (config.get("erase") or {}) | {"rank": erase_rank}
    if erasure := StudentErasure.of(config):
        student.eraser = erasure.fit(student)
        provenance["erase"] = config["erase"]
    if output.path.is_symlink():
        output.path.unlink()  # a link to a borrowed student
    output.begin()
    save_student(student.eval(), output.path, provenance)
    output.finish(STUDENT_FILES)
    return student
