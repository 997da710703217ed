"""Make ``--quantize_asr_model`` of ESPnet's inference quantise our layers too."""

import functools

import torch
from torch import nn

from espnet_robust.models.onednn.linear import as_torchs

_HOOKED = "_espnet_robust_quantizes"


def hook_quantization() -> None:
    """Make ``torch.ao.quantization.quantize_dynamic`` treat our layers as torch's. Idempotent."""
    quantize_dynamic = torch.ao.quantization.quantize_dynamic
    if hasattr(quantize_dynamic, _HOOKED):
        return

    @functools.wraps(quantize_dynamic)
    def quantize(model: nn.Module, *args, **kwargs) -> nn.Module:
        with as_torchs(model):
            return quantize_dynamic(model, *args, **kwargs)

    setattr(quantize, _HOOKED, True)
    torch.ao.quantization.quantize_dynamic = torch.quantization.quantize_dynamic = quantize
