"""Frame counts of a stack of convolutions without padding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """The frames of a speech encoder.

    Attributes:
        rate: sampling rate in Hz.
        windows: (kernel, stride) of each convolution, in samples or frames of its own input.
    """

    rate: int
    windows: tuple[tuple[int, int], ...]

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Frames":
        """The frames of a student described by ``student.describe``."""
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
        """Number of frames for ``num_samples`` samples, an int or an integer tensor."""
        frames = num_samples
        for kernel, stride in self.windows:
            frames = (frames - kernel) // stride + 1
        return frames.clamp(min=0) if isinstance(frames, Tensor) else max(0, frames)

    def first_layer(self, num_samples: Tensor) -> Tensor:
        """Number of frames that the first convolution makes from ``num_samples`` samples."""
        kernel, stride = self.windows[0]
        return (num_samples - kernel) // stride + 1
