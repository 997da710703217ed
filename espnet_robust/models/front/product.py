"""A convolution as matrix products of frames that lie one after another in memory.

With stride S, S frames of (B, T, C) side by side are a row of a matrix (B T / S, S C), without a
copy. A kernel of K frames is ceil(K / S) products with that matrix, the second from its second row
on, and so forth. A product runs at the machine's speed; the libraries' convolutions reach
half of it in float32 and a third in bfloat16.
"""

from typing import Any

import torch
from torch import Tensor

from espnet_robust.models.onednn.linear import add_product, product


class Convolution(torch.autograd.Function):
    """Convolution of (B, T, C) over time, with weights (C', C, K) -> (B, T / stride, C').

    T must be a multiple of the stride. The last ceil(K / stride) - 1 frames of a row are undefined,
    because there the kernel reaches into the next row; a convolution without padding has no such
    frames.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        rows = x.reshape(-1, stride * x.shape[2])
        first, *others = _blocks(weight, stride)
        out = product(rows[:, : first.shape[0]], first)
        for shift, block in enumerate(others, start=1):
            add_product(out[: len(out) - shift], rows[shift:, : block.shape[0]], block)
        if bias is not None:
            out += bias
        return out.view(x.shape[0], -1, weight.shape[0])

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias, _ = ctx.needs_input_grad
        rows = x.reshape(-1, ctx.stride * x.shape[2])
        out = out.reshape(len(rows), -1)
        by_x = _by_rows(out, weight, ctx.stride, rows).view_as(x) if wanted_x else None
        by_weight = _by_weight(out, weight, ctx.stride, rows) if wanted_weight else None
        return by_x, by_weight, out.sum(0) if wanted_bias else None, None


def _blocks(weight: Tensor, stride: int) -> list[Tensor]:
    """Weights (C', C, K) of ``stride`` frames of the kernel at a time, as (frames C, C')."""
    parts = weight.permute(2, 1, 0).split(stride)
    # Of a single frame, reshape makes a view; oneDNN takes 500 times as long over such strides.
    return [part.reshape(-1, weight.shape[0]).contiguous() for part in parts]


def _by_rows(out: Tensor, weight: Tensor, stride: int, rows: Tensor) -> Tensor:
    first, *others = _blocks(weight, stride)
    grad = product(out, first.t())
    if grad.shape != rows.shape:  # a kernel shorter than the stride
        grad = torch.nn.functional.pad(grad, (0, rows.shape[1] - grad.shape[1]))
    for shift, block in enumerate(others, start=1):
        add_product(grad[shift:, : block.shape[0]], out[: len(out) - shift], block.t())
    return grad


def _by_weight(out: Tensor, weight: Tensor, stride: int, rows: Tensor) -> Tensor:
    grads = [
        product(rows[shift:, : block.shape[0]].t(), out[: len(out) - shift])
        for shift, block in enumerate(_blocks(weight, stride))
    ]
    return torch.cat(grads).view(weight.shape[2], weight.shape[1], -1).permute(2, 1, 0)
