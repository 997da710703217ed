"""Cache the hidden states of a frozen model in memory (``cache_gb``)."""

import torch
from torch import Tensor

from espnet_robust.models.speech_model import SpeechModel


def precision(model: SpeechModel, device: str) -> bytes:
    """The precision that states are computed in, as part of the cache key."""
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    return f"{model.encoder.dtype} {autocast}".encode()


class StatesCache(dict):
    """Tensors by ``audio_key``, up to ``limit`` bytes; once full, it stores nothing more."""

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
