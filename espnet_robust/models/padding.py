"""Select the frames of a padded batch that are not padding."""

import torch
from torch import Tensor


def valid_frames(states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) and (B,) -> (sum of lengths, D): every frame that is not padding."""
    if bool((lengths == states.shape[1]).all()):
        return states.flatten(0, 1)
    return states[frame_mask(states, lengths)]


def frame_mask(states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T) bool, true where states (B, T, ...), frames or samples, are not padding."""
    return torch.arange(states.shape[1], device=states.device) < lengths[:, None]


def mean_over_time(frames: Tensor, lengths: Tensor) -> Tensor:
    """(sum of lengths, D) valid frames and (B,) lengths -> (B, D), the mean of each utterance."""
    return torch.stack([rows.mean(0) for rows in frames.split(lengths.tolist())])
