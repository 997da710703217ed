"""Count the multiply-accumulates of a speech model: its cost, independent of any machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from espnet_robust.models.front.front import Front
from espnet_robust.models.log_mel import LogMel
from espnet_robust.models.speech_model import SpeechModel


def multiply_accumulates(model: SpeechModel, seconds: float) -> dict[str, int]:
    """Products in one pass over ``seconds`` of audio: ``front`` (up to the frames) and ``all``.

    Counted are convolutions, linear layers, LSTMs, the matrix products of attention and, in a
    log-mel front end, its transform, which is a matrix there. Norms and activations are not.
    """
    samples = round(seconds * model.rate)
    found: list[tuple[str, int]] = []
    with torch.inference_mode(), _counting(model, found):
        model.encode(torch.zeros(1, samples, device=next(model.parameters()).device))
    frames = model.num_frames(samples)
    attention = 0
    if hasattr(model.config, "num_attention_heads") and model.config.model_type != "conv_lstm":
        attention = 2 * model.num_layers * frames**2 * model.hidden_size
    front = sum(count for name, count in found if "feature_extractor" in name)
    return {"front": front, "all": sum(count for _, count in found) + attention}


@contextmanager
def _counting(model: nn.Module, found: list[tuple[str, int]]) -> Iterator[None]:
    """Context in which each layer that runs adds (name, products) to ``found``."""
    handles = []
    for name, module in model.named_modules():
        if count := _counter(module):
            handles.append(module.register_forward_hook(_hook(name, count, found)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(name: str, count: Callable[[Tensor, Tensor], int], found: list[tuple[str, int]]) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        found.append((name, count(inputs[0], first)))

    return hook


def _counter(module: nn.Module) -> Callable[[Tensor, Tensor], int] | None:
    """(input, output) -> products, for layers that multiply."""
    if isinstance(module, nn.Linear):
        return lambda x, y: y.numel() * module.in_features
    if isinstance(module, Front):  # on a CPU it does not call the convolutions it holds
        return lambda x, y: module.products(x.shape[1])
    if isinstance(module, nn.Conv1d):
        size = module.in_channels // module.groups * module.kernel_size[0]
        return lambda x, y: y.numel() * size
    if isinstance(module, nn.LSTM):
        directions = 2 if module.bidirectional else 1
        gates = 4 * module.hidden_size * (module.input_size + module.hidden_size)
        return lambda x, y: x.shape[1] * directions * gates
    if isinstance(module, LogMel):
        return lambda x, y: y.shape[-1] * module.stack * module.products
    return None
