"""Adapters that ESPnet puts into a frozen model (``use_adapter: true``, ``adapter: lora``).

ESPnet replaces layers after the frontend was built: a frozen model then has parameters that train.
"""

from torch import nn


def adapters(module: nn.Module) -> list[nn.Module]:
    """The modules within a frozen one that have parameters of their own to train."""
    return [m for m in module.modules() if any(p.requires_grad for p in m.parameters(False))]


def eval_but(module: nn.Module, spared: list[nn.Module]) -> None:
    """``module.eval()`` that leaves ``spared`` and what is in them as they are.

    By attribute: ``eval()`` of an adapter merges it into the weight that it adapts.
    """
    kept = {id(m) for one in spared for m in one.modules()}
    for m in module.modules():
        if id(m) not in kept:
            m.training = False
