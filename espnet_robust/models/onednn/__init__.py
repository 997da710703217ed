"""Layers that are faster on a CPU than those they replace, with the same results."""

from typing import TypeVar

from torch import nn

from espnet_robust.models.onednn.convolution import use_fast_layers
from espnet_robust.models.onednn.linear import use_fast_linear

M = TypeVar("M", bound=nn.Module)


def use_onednn(model: M) -> M:
    """Replace layers within ``model``, in place, by ours that use oneDNN; return ``model``.

    This replaces every ``nn.Linear`` (twice as fast on an AMD CPU; where torch's own is as fast,
    that runs: ``choice``) and, in a feature encoder with
    layer norm such as HuBERT Large's, the convolution layers (two to three times). Weights and
    their checkpoint keys stay the same. Outputs and gradients equal the library's up to the order
    of float32 sums. On a GPU, and for linear layers in lower precision, the library's code runs.

    torch's ``quantize_dynamic`` finds no ``nn.Linear`` in such a model, because it looks layers up
    by their exact class; use ``as_torchs`` around it. (Setting ``forward`` on each instance would
    keep the class, but DataParallel's replicas would then compute with the first GPU's weights.)
    """
    use_fast_linear(model)
    for module in model.modules():
        if isinstance(getattr(module, "conv_layers", None), nn.ModuleList):
            use_fast_layers(module)
    return model
