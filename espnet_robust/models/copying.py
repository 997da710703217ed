"""Copy weights into a speech model; what is missing is refused."""

from collections.abc import Mapping

from torch import Tensor, nn

from espnet_robust.common.errors import ModelError
from espnet_robust.models.speech_model import SpeechModel


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """``load_state_dict``, with a one-line ModelError if the weights do not fit."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as e:
        reason = " ".join(str(e).split())[:300]
        raise ModelError(f"{where}: weights do not fit the configuration: {reason}") from e


def copy_layers(teacher: SpeechModel, student: SpeechModel) -> None:
    """Give a student the teacher's weights up to its own last layer.

    A pre-norm teacher (the Large ones) has a norm after its own last layer, which it loses with
    that layer when it is cut at the highest target layer. The student, whose last layer has such a
    norm too, then begins with the norm's initial values.

    Raises:
        ModelError: another weight is missing in the teacher, or has another shape.
    """
    wanted = student.state_dict()
    weights = {key: value for key, value in teacher.state_dict().items() if key in wanted}
    if isinstance(getattr(teacher.encoder.encoder, "layer_norm", None), nn.Identity):
        norm = "encoder.encoder.layer_norm."
        weights |= {key: value for key, value in wanted.items() if key.startswith(norm)}
    load_weights(student, weights, "student_conf: init: teacher")
