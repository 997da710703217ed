"""Load a CTC recogniser trained with ESPnet, without ESPnet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError
from espnet_robust.device.experiment import check_modules, frames_options, load_checkpoint
from espnet_robust.device.features import EncodedFrames, Features
from espnet_robust.models.blstm import BLSTM

NOT_AT_INFERENCE = ("decoder.", "frontend.steps", "criterion_att.")


class CTCHead(nn.Module):
    """The output layer, with ESPnet's name."""

    def __init__(self, size: int, tokens: int):
        super().__init__()
        self.ctc_lo = nn.Linear(size, tokens)


class Recogniser(EncodedFrames):
    """Samples to log probabilities of tokens.

    Args:
        tokens: number of tokens, including the blank, which comes first.
        features, encoder, normalize, options: as for ``EncodedFrames``.
    """

    encoder: BLSTM

    def __init__(
        self,
        features: Features,
        encoder: BLSTM,
        tokens: int,
        normalize: str | None,
        **options: Any,
    ):
        super().__init__(features, encoder, normalize, **options)
        self.ctc = CTCHead(encoder.size, tokens)

    def forward(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) samples in [-1, 1] and lengths (B,), or None if no row is padded -> log
        probabilities (B, T, V) and (B,) frames.
        """
        x, frames = self.encode(wav, lengths)
        return self.ctc.ctc_lo(x).log_softmax(-1), frames


@dataclass(frozen=True)
class Experiment:
    """A recogniser and its tokens.

    Attributes:
        tokens: ESPnet's tokens by id, the blank first.
        token_type: ``bpe``, ``char`` or ``word``.
    """

    model: Recogniser
    tokens: list[str]
    token_type: str


def read_experiment(exp: Path, checkpoint: str) -> Experiment:
    """The recogniser of an ESPnet experiment directory, in eval mode.

    Raises:
        ModelError: not an experiment, a model without CTC, or with unsupported modules.
        ConfigError: the configuration cannot be read.
    """
    config = read_yaml(exp / "config.yaml")
    _check(config, exp)
    tokens = list(config["token_list"])
    model = Recogniser(tokens=len(tokens), **frames_options(config, exp))
    load_checkpoint(model, exp / checkpoint, NOT_AT_INFERENCE)
    return Experiment(model, tokens, config["token_type"])


def _check(config: Mapping[str, Any], exp: Path) -> None:
    """Refuse configurations that ``Recogniser`` does not support."""
    if "token_list" not in config or "frontend_conf" not in config:
        raise ModelError(
            f"{exp}/config.yaml: neither a student nor an ASR or classification experiment of "
            "ESPnet"
        )
    where = f"{exp}: cannot be exported:"
    if (config.get("model_conf") or {}).get("ctc_weight", 0.5) == 0:
        raise ModelError(f"{where} the model has attention only; train it with ctc_weight above 0")
    if config.get("token_type") not in ("bpe", "char", "word"):
        raise ModelError(f"{where} token_type {config.get('token_type')}; need bpe, char or word")
    check_modules(config, exp, {"encoder": ("blstm",)})
