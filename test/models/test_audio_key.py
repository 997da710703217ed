import torch

from espnet_robust.models.audio_key import audio_key


def test_other_samples_have_another_key():
    x = torch.randn(400)
    y = x.clone()
    y[3] += 1e-6
    assert audio_key(x) == audio_key(x.clone()) == audio_key(torch.stack([x, y], 1)[:, 0])
    assert len({audio_key(x), audio_key(y), audio_key(x[:-1])}) == 3
