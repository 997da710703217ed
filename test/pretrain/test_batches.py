import numpy as np
import pytest
import torch

from espnet_robust.common.errors import AudioError
from espnet_robust.models.frames import Frames
from espnet_robust.pretrain.batches import Batches, Speech
from espnet_robust.pretrain.config import PretrainConfig

FRAMES = Frames(16000, ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)))  # HuBERT's
NOISE = {"chain": [{"name": "white", "snr_db": 0}]}


def batches(distortion=None, broken=False, max_seconds=0.5):
    rng = np.random.default_rng(0)
    wavs = [rng.standard_normal(9000 + 700 * i).astype(np.float32) * 0.1 for i in range(4)]
    if broken:
        wavs[2] = np.full_like(wavs[2], np.nan)
    units = [np.arange(FRAMES.count(len(wav))) for wav in wavs]
    config = PretrainConfig(
        clusters=4, steps=10, model={}, max_seconds=max_seconds, batch_seconds=1.1,
        distortion=distortion, mask_prob=0.1, mask_frames=3,
    )  # fmt: skip
    return Batches(config, Speech([f"u{i}" for i in range(4)], wavs), units, FRAMES)


def drawn(made, epoch=0, order=(0, 1, 2, 3), progress=0.0):
    return made.collate(epoch, list(order), progress, np.random.default_rng(7))


def test_distortion_changes_what_is_heard_and_nothing_else():
    clean, noisy = drawn(batches()), drawn(batches(NOISE))
    assert all(torch.equal(a, b) for a, b in zip(clean[1:], noisy[1:], strict=True))
    error = (noisy[0] - clean[0]).square().sum(1) / clean[0].square().sum(1)
    assert error == pytest.approx(np.ones(4), rel=0.2)  # 0 dB


def test_units_lie_where_the_crop_is():
    wav, _, units, _ = drawn(batches())
    for row, samples, whole in zip(units, wav, batches().speech.wavs, strict=True):
        start = int(row[0]) * FRAMES.hop
        assert np.array_equal(samples, whole[start : start + 8000])
        assert row.tolist() == list(range(row[0], row[0] + FRAMES.count(8000)))


def test_draws_depend_on_utterance_and_epoch_not_on_the_batch():
    made = batches(NOISE, max_seconds=2.0)
    lengths = [len(wav) for wav in made.speech.wavs]
    first, again = drawn(made)[0], drawn(made, order=(3, 2, 1, 0))[0]
    for i, length in enumerate(lengths):
        assert torch.equal(first[i, :length], again[3 - i, :length])
    assert not torch.equal(first, drawn(made, epoch=1)[0])


def test_a_curriculum_hears_the_progress():
    made = batches({"chain": [{"name": "white", "snr_db": {"start": [30, 30], "end": [0, 0]}}]})
    clean = drawn(batches())[0]
    power = [(drawn(made, progress=p)[0] - clean).square().mean() for p in (0.0, 1.0)]
    assert 10 * torch.log10(power[1] / power[0]) == pytest.approx(30, abs=1)


def test_a_plan_goes_on_where_it_was_left():
    made = batches()
    whole, rest = made.plan(), made.plan(skip=3)
    taken = [next(whole) for _ in range(9)]
    assert [next(rest) for _ in range(6)] == taken[3:]
    assert sorted(i for epoch, batch in taken if epoch == 0 for i in batch) == [0, 1, 2, 3]


def test_what_cannot_be_distorted_is_named():
    with pytest.raises(AudioError, match="u2: .*NaN"):
        drawn(batches(NOISE, broken=True))
