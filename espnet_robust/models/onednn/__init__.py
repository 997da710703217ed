"""Layers that are faster on a CPU than those they replace; values are the same."""

from typing import TypeVar

from torch import nn

from espnet_robust.models.onednn.convolution import use_fast_layers
from espnet_robust.models.onednn.linear import use_fast_linear

M = TypeVar("M", bound=nn.Module)


def use_onednn(model: M) -> M:
    """Replace layers within ``model``, in place, by ours that run on oneDNN; returns ``model``.

    Replaced are every ``nn.Linear`` (two times as fast on an AMD CPU) and, in a feature encoder
    with layer norm such as HuBERT Large's, the convolution layers (two to three times). Weights
    and their keys in checkpoints stay. Outputs and gradients equal the library's up to the order
    of float32 sums; on a GPU, and in lower precision the linear layers, it is the library's code
    that runs.

    torch's ``quantize_dynamic`` finds no ``nn.Linear`` in such a model, for it looks layers up by
    their very class; ``as_torchs`` is for it. (Setting ``forward`` on each instance would keep the
    class, but DataParallel's replicas would then compute with the weights of the first GPU.)
    """
    use_fast_linear(model)
    for module in model.modules():
        if isinstance(getattr(module, "conv_layers", None), nn.ModuleList):
            use_fast_layers(module)
    return model
