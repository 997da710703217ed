"""Hidden states of a frozen model, kept in memory (``cache_gb``)."""

import torch
from torch import Tensor

from espnet_robust.models.speech_model import SpeechModel


def precision(model: SpeechModel, device: str) -> bytes:
    """What states are computed in, which cached ones must have been too."""
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    return f"{model.encoder.dtype} {autocast}".encode()


class StatesCache(dict):
    """Tensors by ``audio_key``, up to ``limit`` bytes; what comes later is computed each time."""

    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit
        self.size = 0

    def add(self, key: bytes, value: Tensor) -> None:
        size = value.numel() * value.element_size()
        if self.size + size <= self.limit:
            self[key] = value.cpu().clone()
            self.size += size

    def clear(self) -> None:
        super().clear()
        self.size = 0
