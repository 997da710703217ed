"""How samples become frames: the arithmetic of a stack of convolutions without padding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """The frames of a speech encoder.

    Attributes:
        rate: sampling rate in Hz.
        windows: (kernel, stride) of each convolution, in its own input's samples or frames.
    """

    rate: int
    windows: tuple[tuple[int, int], ...]

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Frames":
        """Those of a student as ``student.describe`` gives it."""
        arch = description["arch"]
        windows = zip(arch["conv_kernel"], arch["conv_stride"], strict=True)
        return cls(description["rate"], tuple(windows))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: the product of the strides."""
        hop = 1
        for _, stride in self.windows:
            hop *= stride
        return hop

    @property
    def min_samples(self) -> int:
        """The fewest samples that yield one frame (25 ms for HuBERT's stack)."""
        need = 1
        for kernel, stride in reversed(self.windows):
            need = (need - 1) * stride + kernel
        return need

    def count(self, num_samples):
        """Frames of ``num_samples`` samples; takes an int or an integer tensor."""
        frames = num_samples
        for kernel, stride in self.windows:
            frames = (frames - kernel) // stride + 1
        return frames.clamp(min=0) if isinstance(frames, Tensor) else max(0, frames)
