import numpy as np
import pytest
import soundfile
import torch

from espnet_robust.bin import probe_domain
from espnet_robust.common.errors import DataDirError
from espnet_robust.distill.erasure import fit_eraser
from espnet_robust.distill.probe import FOLDS, DomainProbe, balanced_accuracy


def draw(number: int, seed: int, shift: float = 0.0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((number, 8))
    x[:, 0] += shift
    return x @ np.diag([1, 1, 1, 1, 100, 0.01, 1, 1])


def test_chance_where_nothing_differs():
    assert balanced_accuracy(draw(100, 0), draw(400, 1)) == pytest.approx(0.5, abs=0.07)


def test_it_reads_a_shift_as_well_as_can_be():
    # Balanced classes of Gaussians whose means are 3 deviations apart: Phi(1.5) = 0.933.
    assert balanced_accuracy(draw(400, 0), draw(1600, 1, 3.0)) == pytest.approx(0.933, abs=0.02)


def test_too_few_to_tell():
    assert np.isnan(balanced_accuracy(draw(FOLDS - 1, 0), draw(99, 1)))


def test_the_probe_forgets_once_it_was_fitted():
    probe = DomainProbe()
    assert np.isnan(probe.fit())
    clean, distorted = draw(50, 0), draw(50, 1, 9.0)
    for rows in np.split(clean, 5):
        probe.add(torch.from_numpy(rows), distorted=False)
    for rows in np.split(distorted, 5):
        probe.add(torch.from_numpy(rows), distorted=True)
    assert probe.fit() == 1
    assert np.isnan(probe.fit())


def test_the_order_in_which_it_hears_does_not_matter():
    found = set()
    for order in (slice(None), slice(None, None, -1)):
        probe = DomainProbe()
        probe.add(torch.from_numpy(draw(60, 0)[order].copy()), distorted=False)
        probe.add(torch.from_numpy(draw(60, 1, 1.0)[order].copy()), distorted=True)
        found.add(probe.fit())
    assert len(found) == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_erased_no_linear_reader_finds(classes):
    parts = [draw(300, seed, shift=2.0 * seed) for seed in range(classes)]
    x, labels = np.concatenate(parts), np.repeat(np.arange(classes), 300)
    eraser = fit_eraser(x, labels)
    erased = eraser(x)
    means = np.stack([erased[labels == k].mean(0) for k in range(classes)])
    np.testing.assert_allclose(means, means[:1].repeat(classes, 0), atol=1e-6 * np.abs(x).max())
    assert balanced_accuracy(x[labels == 0], x[labels == 1]) > 0.8
    assert balanced_accuracy(erased[labels == 0], erased[labels == 1]) < 0.55
    # Of least change: what is uncorrelated with the classes stays as it was.
    assert np.linalg.matrix_rank(eraser.projection) <= classes - 1
    np.testing.assert_allclose(erased.mean(0), x.mean(0), atol=1e-9 * np.abs(x).max())


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
    probe_domain.main([*words, str(noisy), str(clean), "--erase"])
    head, whole, half, erased = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert head == ["model", "all", "train", "train"]
    assert float(whole[2]) > 0.8 and float(whole[3]) <= 0.5  # the tone; the same once more
    assert half[0].endswith(", half") and erased[0].endswith(", half erased")
    with pytest.raises(DataDirError, match="not a copy of"):
        probe_domain.main([*words, str(other)])
