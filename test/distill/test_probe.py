import numpy as np
import pytest
import soundfile
import torch

from espnet_robust.bin import probe_domain
from espnet_robust.common.errors import ConfigError, DataDirError
from espnet_robust.distill.erasure import fit_eraser, fit_nuisance_eraser
from espnet_robust.distill.probe import FOLDS, DomainProbe, _folds, balanced_accuracy, summarise


def draw(number: int, seed: int, shift: float = 0.0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((number, 8))
    x[:, 0] += shift
    return x @ np.diag([1, 1, 1, 1, 100, 0.01, 1, 1])


def accuracy_of_strangers(clean: np.ndarray, distorted: np.ndarray) -> float:
    """``balanced_accuracy`` where each row is of an utterance of its own."""
    numbers = np.arange(len(clean) + len(distorted))
    return balanced_accuracy(clean, distorted, (numbers[: len(clean)], numbers[len(clean) :]))


def accuracy_of_twins(clean: np.ndarray, distorted: np.ndarray) -> float:
    """``balanced_accuracy`` where the rows of both sides are of the same utterances, in turn."""
    numbers = np.arange(len(clean))
    return balanced_accuracy(
        clean, distorted, (numbers, np.tile(numbers, len(distorted) // len(clean)))
    )


def test_chance_where_nothing_differs():
    assert accuracy_of_strangers(draw(100, 0), draw(400, 1)) == pytest.approx(0.5, abs=0.07)


def test_it_reads_a_shift_as_well_as_can_be():
    # Balanced classes of Gaussians whose means are 3 deviations apart: Phi(1.5) = 0.933.
    found = accuracy_of_strangers(draw(400, 0), draw(1600, 1, 3.0))
    assert found == pytest.approx(0.933, abs=0.02)


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("noise", [1e-3, 0.3, 1.0])
def test_chance_where_twins_differ_only_by_noise(noise, copies):
    """A classifier that has met an utterance's twin, in the other class, would be below chance."""
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((216, 64))
    distorted = np.tile(clean, (copies, 1))
    distorted += noise * rng.standard_normal(distorted.shape)
    clean += noise * rng.standard_normal(clean.shape)
    assert accuracy_of_twins(clean, distorted) == pytest.approx(0.5, abs=0.06)
    distorted[:, 3] += 8.0
    assert accuracy_of_twins(clean, distorted) > 0.97


def test_of_two_equal_sides_it_knows_exactly_nothing():
    assert accuracy_of_twins(draw(50, 0), draw(50, 0)) == 0.5


def test_the_probe_keeps_twins_together_where_only_some_have_one():
    rng = np.random.default_rng(1)
    clean = np.repeat(rng.standard_normal((160, 1, 64)), 2, axis=1)
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    utts = ids("u", 160)
    probe = DomainProbe()
    probe.add(torch.from_numpy(clean), utts, distorted=False)
    probe.add(torch.from_numpy(noisy[::2]), utts[::2], distorted=True)
    for value in probe.fit().values():
        assert value == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("clean", "distorted"), [(40, 40), (40, 5), (5, 40), (7, 13), (FOLDS, FOLDS)]
)
@pytest.mark.parametrize("shared", [0, 3, 5])
def test_every_fold_has_both_classes_and_whole_utterances(clean, distorted, shared):
    utts = ids("u", clean + distorted - shared)
    sides = utts[:clean], utts[clean - shared :]
    folds = dict(zip(sides[0] + sides[1], _folds(*sides), strict=True))
    assert [folds[utt] for utt in sides[0] + sides[1]] == _folds(*sides).tolist()  # one per id
    for side in sides:
        sizes = np.bincount([folds[utt] for utt in side], minlength=FOLDS)
        assert sizes.min() >= 1 and np.ptp(sizes) <= 1
    backwards = _folds(*(side[::-1] for side in sides))
    assert [folds[utt] for utt in sides[0][::-1] + sides[1][::-1]] == backwards.tolist()


def test_too_few_to_tell():
    assert np.isnan(accuracy_of_strangers(draw(FOLDS - 1, 0), draw(99, 1)))
    # Many copies of a few utterances are still a few utterances.
    few = np.arange(FOLDS - 1)
    assert np.isnan(balanced_accuracy(draw(99, 0), draw(40, 1), (np.arange(99), np.tile(few, 10))))


def test_a_summary_is_mean_and_deviation_over_the_utterances_own_frames():
    frames = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 7.0]])
    wanted = [[[2.0, 0.0], [1.0, 0.0]], [[5.0, 7.0], [0.0, 0.0]]]
    assert summarise(frames, torch.tensor([2, 1])).tolist() == wanted


def summaries(number: int, seed: int, mean: float = 0.0, deviation: float = 0.0) -> torch.Tensor:
    shifts = (mean, deviation)
    sides = [draw(number, seed + 10 * i, shift) for i, shift in enumerate(shifts)]
    return torch.from_numpy(np.stack(sides, axis=1))


def ids(letter: str, number: int) -> list[str]:
    return [f"{letter}{i:03}" for i in range(number)]


def test_the_probe_forgets_once_it_was_fitted():
    probe = DomainProbe()
    assert probe.fit() == {}
    clean, distorted = summaries(50, 0), summaries(50, 1, mean=9.0)
    for i, rows in enumerate(clean.split(10)):
        probe.add(rows, ids(f"u{i}", 10), distorted=False)
    for i, rows in enumerate(distorted.split(10)):
        probe.add(rows, ids(f"u{i}", 10), distorted=True)
    assert probe.fit()["domain_probe"] == 1
    assert probe.fit() == {}


def test_what_the_mean_hides_the_deviation_reveals():
    probe = DomainProbe()
    probe.add(summaries(100, 0), ids("a", 100), distorted=False)
    probe.add(summaries(100, 1, deviation=9.0), ids("b", 100), distorted=True)
    found = probe.fit()
    assert found["domain_probe"] == pytest.approx(0.5, abs=0.15)
    assert found["domain_probe_deviation"] == 1


def test_the_order_in_which_it_hears_does_not_matter():
    found = []
    for order in (1, -1):
        probe = DomainProbe()
        for seed, shift in ((0, 0.0), (1, 1.0)):
            rows = summaries(60, seed, mean=shift)
            if order == -1:
                rows = rows.flip(0)
            probe.add(rows, ids("u", 60)[::order], distorted=shift > 0)
        found.append(probe.fit())
    assert found[0] == found[1]


@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_erased_no_linear_reader_finds(classes):
    parts = [draw(300, seed, shift=2.0 * seed) for seed in range(classes)]
    x, labels = np.concatenate(parts), np.repeat(np.arange(classes), 300)
    eraser = fit_eraser(x, labels)
    erased = eraser(x)
    means = np.stack([erased[labels == k].mean(0) for k in range(classes)])
    np.testing.assert_allclose(means, means[:1].repeat(classes, 0), atol=1e-6 * np.abs(x).max())
    assert accuracy_of_strangers(x[labels == 0], x[labels == 1]) > 0.8
    assert accuracy_of_strangers(erased[labels == 0], erased[labels == 1]) < 0.55
    # Of least change: what is uncorrelated with the classes stays as it was.
    assert eraser.read.shape[1] <= classes - 1
    np.testing.assert_allclose(erased.mean(0), x.mean(0), atol=1e-9 * np.abs(x).max())


def noisy(clean: np.ndarray, seed: int, kind: int) -> np.ndarray:
    """Distorted: each kind shifts the values 0 and 1, in a direction of its own."""
    angle = {0: 0.3, 1: 1.8, 2: 2.6}[kind]
    shift = np.zeros(clean.shape[1])
    shift[:2] = 6 * np.cos(angle), 6 * np.sin(angle)
    return clean + shift + 0.1 * np.random.default_rng(seed).standard_normal(clean.shape)


def test_directions_of_known_kinds_hide_unknown_kinds_where_leace_does_not():
    clean, unseen = (np.random.default_rng(s).standard_normal((400, 8)) for s in (0, 1))
    known = np.concatenate([noisy(clean, 2 + kind, kind) for kind in (0, 1)])
    leace = fit_eraser(np.concatenate([clean, known]), np.repeat([0, 1], [400, 800]))
    nuisance = fit_nuisance_eraser(np.tile(clean, (2, 1)), known, rank=2)
    unknown = noisy(unseen, 9, kind=2)
    assert accuracy_of_twins(leace(unseen), leace(unknown)) > 0.9
    assert accuracy_of_twins(nuisance(unseen), nuisance(unknown)) < 0.6
    # What distortion leaves alone, such as the words, stays.
    erased = nuisance(unseen)
    for i in range(2, 8):
        assert np.corrcoef(erased[:, i], unseen[:, i])[0, 1] > 0.97
    assert np.abs(erased[:, :2]).max() < 1


def test_erasing_everything_leaves_the_mean_and_the_units_do_not_matter():
    clean = np.random.default_rng(0).standard_normal((100, 4)) * [1, 10, 0.1, 1]
    distorted = noisy(clean, 1, 0)
    whole = fit_nuisance_eraser(clean, distorted, rank=4)
    np.testing.assert_allclose(whole(distorted), clean.mean(0)[None].repeat(100, 0), atol=1e-9)
    scale = np.array([1, 5, 100, 0.1])
    one = fit_nuisance_eraser(clean, distorted, 1)(distorted)
    other = fit_nuisance_eraser(clean * scale, distorted * scale, 1)(distorted * scale)
    np.testing.assert_allclose(one * scale, other, rtol=1e-6, atol=1e-8)


def test_what_tells_the_domain_by_means_is_erased_where_frames_use_it_least():
    """Distortion moves value 1 by 1 and 2 by 1.5. Means hardly vary in 1, so it tells more.
    Frames vary alike in both; for them alone, 2 would be the direction.
    """
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((4000, 3)) * [1, 0.1, 3]
    distorted = clean + np.tile([[0, 1, 1.5], [0, 1, -1.5]], (2000, 1))
    frames = np.array([[1, 0.9, 0], [0.9, 4, 0], [0, 0, 4]])
    by_means = fit_nuisance_eraser(clean, distorted, 1, frames)
    by_frames = fit_nuisance_eraser(np.zeros((1, 3)), distorted - clean, 1, frames)
    np.testing.assert_allclose(by_means.write / by_means.write[0, 1], [[0, 1, 0]], atol=0.1)
    np.testing.assert_allclose(by_frames.write / by_frames.write[0, 2], [[0, 0, 1]], atol=0.1)
    # It is read where frames have least to lose: value 0, which varies along with 1, helps.
    read = np.linalg.solve(frames, [0, 1, 0])
    np.testing.assert_allclose(by_means.read[:, 0] / by_means.read[1, 0], read / read[1], atol=0.1)


@pytest.mark.parametrize("rank", [0, 5])
def test_a_rank_that_does_not_exist(rank):
    x = np.zeros((10, 4))
    with pytest.raises(ConfigError, match=f"rank: {rank} is not in 1..4"):
        fit_nuisance_eraser(x, x, rank)


@pytest.fixture
def copies(make_data):
    """A data dir, a copy of it with a tone on top, and one of other utterances."""
    clean = make_data([4000] * 12)
    noisy = make_data([4000] * 12)
    tone = np.sin(np.arange(4000) * 0.5) * 0.3
    for path in sorted(noisy.parent.glob("*.wav")):
        wav, rate = soundfile.read(path)
        soundfile.write(path, wav + tone, rate)
    return clean, noisy, make_data([4000] * 11)


def test_the_command(copies, teacher_dirs, capsys):
    clean, noisy, other = copies
    words = [str(teacher_dirs["hubert_layer_norm"]), "--clean", str(clean), "--distorted"]
    erasure = ["--erase_clean", str(clean), "--erase_distorted", str(noisy), "--rank", "3"]
    probe_domain.main([*words, str(noisy), str(clean), *erasure])
    lines = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    head, mean, deviation, leace, erased = lines
    assert head == ["model", "all", "train", "train"]
    for row in (mean, deviation):
        assert float(row[2]) > 0.8 and float(row[3]) == 0.5  # the tone; the same once more
    assert mean[0].endswith(", mean") and deviation[0].endswith(", deviation")
    assert leace[0].endswith(", mean, LEACE") and erased[0].endswith(", mean, 3 erased")
    assert float(erased[2]) < float(mean[2]) and float(leace[2]) < float(mean[2])
    with pytest.raises(DataDirError, match="not a copy of"):
        probe_domain.main([*words, str(other)])
    with pytest.raises(ConfigError, match="give both --erase_clean and --erase_distorted"):
        probe_domain.main([*words, str(noisy), "--erase_clean", str(clean)])
