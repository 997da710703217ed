"""Linear layers with oneDNN: twice as fast as torch's own on some AMD CPUs.

torch multiplies float32 matrices with MKL, which uses AVX-512 only on Intel CPUs. oneDNN uses it on
all; torch includes oneDNN's product for code from torch.compile. Results equal those of
``nn.Linear`` up to the order of float32 sums. torch's own layer runs where it is as fast
(``choice``), on a GPU, in lower precision, and when compiled or traced.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from espnet_robust.models.onednn.choice import AVAILABLE, ONEDNN, current


class Linear(nn.Linear):
    """``nn.Linear``, faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D')."""
        if not _can_take(x, self.weight):
            return super().forward(x)
        flat = _Product.apply(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return flat.view(*x.shape[:-1], -1)


def use_fast_linear(module: nn.Module) -> None:
    """Replace every ``nn.Linear`` within ``module`` by ours, in place; weights and keys stay.

    torch's ``quantize_dynamic`` finds no ``nn.Linear`` in such a model, because it looks layers up
    by their exact class; use ``as_torchs`` around it. (Setting ``forward`` on each instance would
    keep the class, but DataParallel's replicas would then compute with the first GPU's weights.)
    """
    for layer in module.modules():
        if type(layer) is nn.Linear:  # no subclasses
            layer.__class__ = Linear


@contextlib.contextmanager
def as_torchs(module: nn.Module) -> Iterator[None]:
    """Context in which ``use_fast_linear`` is undone, for code that looks layers up by class.

    WavLM's attention is left alone: it reads the weights of its layers and cannot use others.
    """
    kept = {
        id(layer)
        for parent in module.modules()
        if type(parent).__name__ == "WavLMAttention"
        for layer in parent.children()
    }
    ours: list[nn.Module] = [m for m in module.modules() if type(m) is Linear and id(m) not in kept]
    for layer in ours:
        layer.__class__ = nn.Linear
    try:
        yield
    finally:
        for layer in ours:
            layer.__class__ = Linear


def _can_take(x: Tensor, weight: Tensor) -> bool:
    return (
        AVAILABLE
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and current().kind == ONEDNN  # last, because it may be measured now
    )


def product(x: Tensor, y: Tensor) -> Tensor:
    """x (N, D), y (D, D') -> x y, by oneDNN where linear layers use it; no autograd."""
    return _product(x, y.t()) if _can_take(x, y) else x @ y


def add_product(out: Tensor, x: Tensor, y: Tensor) -> None:
    """Add ``product(x, y)`` to ``out`` (N, D'), in place."""
    if _can_take(x, y):
        out += _product(x, y.t())
    else:
        out.addmm_(x, y)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, D), weight (D', D) -> x weight^T + bias."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias = ctx.needs_input_grad
        out = out.contiguous()
        by_x = _product(out, weight.t()) if wanted_x else None
        by_weight = _product(out.t(), x.t()) if wanted_weight else None
        by_bias = out.sum(0) if wanted_bias else None
        return by_x, by_weight, by_bias
