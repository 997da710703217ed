"""What the student predicts: layers, groups, normalisation, cache, several teachers."""

import copy

import pytest
import torch

from espnet_robust.common.errors import ModelError, TrainingError
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.targets import Targets
from espnet_robust.models.padding import valid_frames
from espnet_robust.models.speech_model import load_teacher


@pytest.fixture
def frames(teacher, batch):
    """{layer: (N, D)} of the teacher on the batch."""
    hidden = teacher(*batch)
    return {layer: valid_frames(x, hidden.lengths) for layer, x in hidden.states.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_layers_and_means_over_layers(teacher, batch, frames):
    targets = Targets([teacher], [4, [2, 3, 4], [1]])
    assert targets.names == ("4", "g2-3-4", "1")
    out = targets(*batch)
    assert torch.equal(out["4"], frames[4]) and torch.equal(out["1"], frames[1])
    torch.testing.assert_close(out["g2-3-4"], (frames[2] + frames[3] + frames[4]) / 3)


def test_several_teachers(teacher, teacher_dirs, batch):
    second = load_teacher(teacher_dirs["wavlm"], [4])
    targets = Targets([teacher, second], [2, 4])
    assert targets.names == ("2", "4", "t1_2", "t1_4")
    assert targets.size("t1_4") == 16
    hidden = second(*batch)
    assert torch.equal(targets(*batch)["t1_4"], valid_frames(hidden.states[4], hidden.lengths))
    assert not list(targets.parameters()) and not targets.state_dict()


def test_normalised_by_layer(teacher, batch):
    for x in Targets([teacher], [2, 4], "layer")(*batch).values():
        torch.testing.assert_close(x.mean(1), torch.zeros(len(x)), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.var(1, correction=0), torch.ones(len(x)), atol=1e-3, rtol=0)


def test_normalised_by_statistics(teacher, batch, frames):
    targets = Targets([teacher], [2, [3, 4]], "statistics")
    assert targets.needs_statistics
    assert all(x.isnan().all() for x in targets(*batch).values())
    wav, lengths = batch
    targets.collect([(wav[:1], lengths[:1]), (wav[1:], lengths[1:])])
    assert not targets.needs_statistics
    torch.testing.assert_close(targets.get_buffer("mean_2"), frames[2].mean(0))
    torch.testing.assert_close(targets.get_buffer("std_2"), frames[2].std(0, correction=0))
    for x in targets(*batch).values():
        torch.testing.assert_close(x.mean(0), torch.zeros(16), atol=1e-4, rtol=0)
        torch.testing.assert_close(x.var(0, correction=0), torch.ones(16), atol=1e-4, rtol=0)


def test_statistics_survive_in_the_state_dict(teacher, batch):
    first, second = (Targets([teacher], [2, [3, 4]], "statistics") for _ in range(2))
    first.collect([batch])
    state = first.state_dict()
    assert sorted(state) == ["mean_2", "mean_g3-4", "std_2", "std_g3-4"]
    second.load_state_dict(state)
    assert not second.needs_statistics
    assert_same(second(*batch), first(*batch))


def test_a_constant_target_is_no_nan(teacher, batch):
    targets = Targets([teacher], [2], "statistics")
    teacher.encoder.encoder.layers[1].register_forward_hook(lambda _, __, x: 0 * x + 7)
    targets.collect([batch])
    assert targets(*batch)["2"].abs().max() == 0


def test_no_gradient(teacher, batch):
    teacher.requires_grad_(True)
    assert not any(x.requires_grad for x in Targets([teacher], [2])(*batch).values())


@pytest.fixture
def cached(teacher, tmp_path):
    layers = [2, [3, 4]]
    cache = TargetCache.for_teachers(tmp_path, [teacher], layers)
    return Targets([teacher], layers, "layer", cache)


def test_cache_changes_no_more_than_fp16_does(teacher, batch, cached):
    plain, miss, hit = Targets([teacher], [2, [3, 4]], "layer")(*batch), cached(*batch), None
    for name, x in miss.items():
        torch.testing.assert_close(x, plain[name], atol=3e-3, rtol=0)
    cached._teachers[0].forward = None  # nobody asks the teacher any more
    hit = cached(*batch)
    assert_same(hit, miss)
    wav, lengths = batch
    order = [2, 0]
    turned = cached(wav[order], lengths[order])
    counts = teacher.num_frames(lengths).tolist()
    rows = miss["2"].split(counts)
    assert torch.equal(turned["2"], torch.cat([rows[i] for i in order]))


def test_a_run_does_not_depend_on_what_the_cache_held(batch, cached, teacher, tmp_path):
    wav, lengths = batch
    expected = cached(wav, lengths)
    file = sorted(cached.cache.path.rglob("*.safetensors"))[1]
    file.unlink()  # as if killed before it was written
    assert_same(cached(wav, lengths), expected)
    assert file.is_file()


def test_what_is_not_finite_is_not_kept(teacher, batch, cached):
    hook = teacher.encoder.encoder.layers[1].register_forward_hook(lambda _, __, x: x * torch.nan)
    assert cached(*batch)["2"].isnan().all()
    hook.remove()
    assert cached(*batch)["2"].isfinite().all()


def test_refused(teacher, batch):
    other = copy.deepcopy(teacher)
    other.rate = 8000
    with pytest.raises(ModelError, match="8000 Hz: 400 samples every 320, 16000 Hz"):
        Targets([teacher, other], [2])
    targets = Targets([teacher], [2], "statistics")
    with pytest.raises(TrainingError, match="no batch"):
        targets.collect([])
    wav, lengths = batch
    with pytest.raises(TrainingError, match="target 2 is NaN or infinite"):
        targets.collect([(wav * torch.nan, lengths)])
