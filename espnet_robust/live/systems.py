"""The recognisers of an experiment, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.recognise.decode import Recogniser, load_recogniser

FIRST = ("teacher", "distilhubert")  # shown before the others


@dataclass(frozen=True)
class System:
    """One system.

    Args:
        name: as in the tables.
        recogniser: its trained model.
        layers: weight of each layer of the speech model in the features, in [0, 1]; the weights
            add up to 1. None if the features are not layers (log-mel).
    """

    name: str
    recogniser: Recogniser
    layers: dict[int, float] | None

    def hear(self, wav: np.ndarray) -> str:
        """(samples,) at 16 kHz -> text.

        Raises:
            ModelError: the speech is shorter than one frame.
        """
        return self.recogniser([wav])[0]


def load_systems(exp: Path, seed: int, names: Sequence[str], checkpoint: str) -> list[System]:
    """The recognisers ``EXP/NAME_seedSEED/asr``.

    Args:
        names: systems, in the order in which to show them; empty: all that were trained.

    Raises:
        ConfigError: no system was trained with this seed.
        ModelError: one of ``names`` was not trained.
    """
    found = names or sorted(
        (path.parent.name.removesuffix(f"_seed{seed}") for path in exp.glob(f"*_seed{seed}/asr")),
        key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name),
    )
    if not found:
        raise ConfigError(
            f"{exp}: no recognisers with seed {seed} in it; run `make demo` first, or name the "
            "experiment of another recipe, in that recipe's directory"
        )
    return [_load(name, exp / f"{name}_seed{seed}" / "asr", checkpoint) for name in found]


def _load(name: str, exp: Path, checkpoint: str) -> System:
    if not exp.is_dir():
        raise ModelError(f"{exp}: no recogniser of {name}; was it trained?")
    recogniser = load_recogniser(exp, checkpoint)
    frontend: Any = recogniser.model.frontend
    weights = getattr(frontend, "layer_weights", None)
    if weights is None:
        return System(name, recogniser, None)
    shares = weights.detach().softmax(0).tolist()
    return System(name, recogniser, dict(zip(frontend.layers, shares, strict=True)))
