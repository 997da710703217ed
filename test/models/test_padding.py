import torch

from espnet_robust.models.padding import frame_mask, valid_frames


def test_padding_never_counts():
    states = torch.arange(12.0).view(2, 3, 2)
    kept = valid_frames(states, torch.tensor([3, 1]))
    assert kept.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert torch.equal(valid_frames(states, torch.tensor([3, 3])), states.view(6, 2))


def test_mask_of_frames_and_of_samples():
    wanted = [[True, True, True], [True, False, False]]
    for padded in (torch.zeros(2, 3, 5), torch.zeros(2, 3)):
        assert frame_mask(padded, torch.tensor([3, 1])).tolist() == wanted
