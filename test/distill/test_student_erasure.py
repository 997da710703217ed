"""The eraser of a student: fitted in closed form, after a training that it does not touch."""

import csv
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from espnet_robust.bin import export_student
from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.made_of import STUDENT_FILES
from espnet_robust.distill.erasure import EraseConfig, fit_nuisance_eraser
from espnet_robust.distill.probe import balanced_accuracy
from espnet_robust.distill.student_erasure import StudentErasure, pairs_of
from espnet_robust.models.speech_model import Hidden
from espnet_robust.models.student import load_student

SIZE, FRAMES = 8, 40


class Toy(nn.Module):
    """A "student" of two layers whose hidden states are its input, and minus it."""

    num_layers, hidden_size = 1, SIZE

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, wav, lengths):
        assert not self.training
        x = wav.unflatten(1, (-1, SIZE)) * self.weight
        return Hidden({0: x, 1: -x}, lengths // SIZE)


@dataclass
class Utterances:
    """Toy pairs: words in every value; distortion shifts an utterance in a plane, either way."""

    seed: int
    number: int = 300

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        mixing = np.random.default_rng(99).standard_normal((SIZE, SIZE))
        for _ in range(self.number):
            frames = rng.standard_normal((FRAMES, SIZE)) * ([1] * (SIZE - 2) + [0.1] * 2)
            shift = np.zeros(SIZE)
            shift[-2:] = rng.uniform(1, 2), rng.uniform(-1, 1)
            pair = np.stack([frames, frames + shift]) @ mixing
            yield pair.reshape(2, -1).astype(np.float32)


class Noises(Utterances):
    """Each utterance is moved in a direction of its own."""

    def __iter__(self):
        rng = np.random.default_rng(self.seed + 7)
        for clean, _ in super().__iter__():
            moved = clean.reshape(-1, SIZE) + rng.standard_normal(SIZE).astype(np.float32)
            yield np.stack([clean, moved.ravel()])


def means(pairs, erase=lambda x: x):
    """(clean, distorted) time means, (N, D) each."""
    frames = torch.from_numpy(np.stack(list(pairs))).unflatten(2, (-1, SIZE))
    return erase(frames).mean(2).unbind(1)


def test_the_probe_falls_to_chance_on_unseen_data_and_the_words_survive():
    toy = Toy().train()
    eraser = StudentErasure(2, Utterances(0)).fit(toy)
    assert toy.training
    unseen = Utterances(1)
    utts = [np.arange(len(list(unseen)))] * 2
    assert balanced_accuracy(*means(unseen), utts) > 0.95
    for layer, sign in ((0, 1), (1, -1)):
        erased = means(unseen, lambda x, n=layer, s=sign: eraser.layer(s * x, n))
        assert balanced_accuracy(*erased, utts) < 0.56
    # What a linear head, fitted to the clean frames, makes of the erased distorted frames.
    frames = torch.from_numpy(np.stack(list(unseen))).unflatten(2, (-1, SIZE)).double()
    words = frames[:, 0] @ torch.linalg.inv(
        torch.from_numpy(np.random.default_rng(99).standard_normal((SIZE, SIZE)))
    )
    words = words[..., : SIZE - 2].flatten(0, 1)

    def error(x):
        solved = torch.linalg.lstsq(x, words).solution
        return (x @ solved - words).square().mean() / words.square().mean()

    assert error(eraser.layer(frames[:, 1], 0).flatten(0, 1)) < 0.02


def test_the_same_bytes_each_time():
    one, two = (StudentErasure(2, Utterances(0)).fit(Toy()).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("rank", [0, SIZE, -1])
def test_a_rank_that_the_student_has_not(rank):
    with pytest.raises(ConfigError, match=rf"erase: rank: {rank} is not in 1..7: .* has 8 units"):
        StudentErasure(rank, Utterances(0)).fit(Toy())


def test_a_rank_beyond_what_the_distortion_moves():
    """Further directions would be rounding noise, which differs between machines."""
    with pytest.raises(ConfigError, match="rank: 5: 4 distorted utterances change only 4 direc"):
        StudentErasure(5, Noises(0, number=4)).fit(Toy())
    assert StudentErasure(4, Noises(0, number=4)).fit(Toy()).rank == 4
    clean, other = (np.random.default_rng(s).standard_normal((5, SIZE)) for s in (0, 1))
    fitted = fit_nuisance_eraser(clean, other, 4)  # of their covariance, of rank 4
    np.testing.assert_allclose(fitted.write @ fitted.read, np.eye(4), atol=1e-6)
    with pytest.raises(ConfigError, match="rank: 5: 5 distorted utterances change only 4"):
        fit_nuisance_eraser(clean, other, 5)


def test_nothing_was_distorted():
    with pytest.raises(ConfigError, match="left every utterance undistorted"):
        StudentErasure(2, []).fit(Toy())


def test_a_second_mixture_moves_elsewhere():
    class Twice(Utterances):
        """Each utterance once more, moved along a value in which words are, too."""

        def __iter__(self):
            for clean, distorted in super().__iter__():
                moved = clean.reshape(-1, SIZE) + np.float32([9, *[0] * (SIZE - 1)])
                yield np.stack([clean, distorted, moved.ravel()])

    once, twice = (
        StudentErasure(rank, pairs(0)).fit(Toy()) for rank, pairs in ((2, Utterances), (3, Twice))
    )
    move = torch.eye(SIZE)[0]
    assert (once.layer(move, 0) - once.layer(0 * move, 0)).norm() > 0.3
    assert (twice.layer(move, 0) - twice.layer(0 * move, 0)).norm() < 1e-3


def test_more_directions_than_utterances():
    with pytest.raises(ConfigError, match="rank: 24 directions cannot be found in 10 utterances"):
        EraseConfig(rank=24, utterances=10)
    EraseConfig(rank=20, utterances=10, distortion={"chain": ["white"]})


@pytest.mark.parametrize("wrong", [{"rank": -1}, {"utterances": 1}])
def test_options_out_of_range(wrong):
    with pytest.raises(ConfigError, match="must not be negative, utterances"):
        EraseConfig(**wrong)


def test_a_mixture_that_was_not_read():
    with pytest.raises(ConfigError, match="distortion: write the mixture here, not 'a.yaml'"):
        EraseConfig(distortion="a.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"erase": {"rank": 16}}, "rank: 16 is not in 1..15: the student has 16 units"),
        ({"erase": {"rank": 1}, "mapping": "none", "dat": "none"}, "needs distorted speech"),
        ({"erase": {"ranks": 1}}, "erase: unknown key 'ranks'"),
        ({"erase": {"rank": 1, "distortion": "a.yaml"}}, "a.yaml: no such file"),
        ({"erase": {"rank": 1, "distortion": {"chain": ["wite"]}}}, "did you mean 'white'"),
    ],
)
def test_refused_before_the_training(train, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        train(tmp_path / "x", **options)


ERASE = {"erase": {"rank": 2, "utterances": 10}}


@pytest.fixture(scope="module")
def erased(train, tmp_path_factory):
    """As ``straight``, with an eraser."""
    return train(tmp_path_factory.mktemp("erased") / "exp", keep_nbest_models=3, **ERASE)


def test_training_is_as_without_it(erased, straight, assert_same_weights):
    assert_same_weights(erased, straight)


def test_the_probe_hears_the_erased_student(erased, straight):
    (ours, theirs) = (
        [row for row in csv.DictReader((out / "curves.csv").open()) if row["split"] == "valid"]
        for out in (erased, straight)
    )
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        for name in ("domain_probe", "domain_probe_deviation"):
            assert one[f"{name}_unerased"] == other[name]
            assert 0 <= float(one[name]) <= 1
    assert any(one["domain_probe"] != one["domain_probe_unerased"] for one in ours)


def test_export(erased, straight, tmp_path):
    options = {"a": [], "b": [], "none": ["--erase_rank", "0"]}
    for name, words in options.items():
        export_student.main(
            [str(erased), str(tmp_path / name), "--checkpoint", "3epoch.pth", *words]
        )
    for file in STUDENT_FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    students = {name: load_student(tmp_path / name) for name in options}
    assert students["a"].eraser.rank == 2 and students["none"].eraser is None
    assert read_yaml(tmp_path / "a/config.yaml")["provenance"]["erase"] == ERASE["erase"]
    # Afterwards, from a training that knew nothing of it.
    later = [str(straight), str(tmp_path / "later"), "--checkpoint", "3epoch.pth"]
    export_student.main([*later, "--erase_rank", "2"])
    wav = torch.randn(1, 8000, generator=torch.Generator().manual_seed(1)) * 0.05
    ours, plain, after = (
        model(wav, torch.tensor([8000])).states
        for model in (students["a"], students["none"], load_student(tmp_path / "later"))
    )
    for layer in range(3):
        assert not torch.equal(ours[layer], plain[layer])
        torch.testing.assert_close(students["a"].erase(list(plain.values()))[layer], ours[layer])
        assert after[layer].shape == ours[layer].shape


def test_a_resumed_training_gives_the_same_student(train, tmp_path):
    options = ERASE | {"dat": "none"}
    for name, epochs in (("resumed", (1, 2)), ("straight", (2,))):
        for epoch in epochs:
            train(tmp_path / name, max_epoch=epoch, **options)
        export_student.main([str(tmp_path / name), str(tmp_path / f"of_{name}")])
    for file in STUDENT_FILES:
        resumed, straight = (tmp_path / f"of_{name}" / file for name in ("resumed", "straight"))
        assert resumed.read_bytes() == straight.read_bytes()


def test_pairs_are_spread_over_the_training_set_and_each_mixture_is_drawn_once(straight):
    config = read_yaml(straight / "config.yaml")
    silent = {"distortion": {"chain": ["clean"]}}
    white = {"chain": [{"name": "white", "snr_db": 10}]}
    every = list(pairs_of(config | {"distortion": white}, EraseConfig(utterances=99)))
    assert len(every) == 12
    some = list(pairs_of(config | {"distortion": white}, EraseConfig(utterances=5)))
    for one, number in zip(some, (0, 2, 4, 7, 9), strict=True):
        np.testing.assert_array_equal(one, every[number])
    assert list(pairs_of(config | silent, EraseConfig())) == []
    (added, *_) = pairs_of(config | silent, EraseConfig(distortion=white))
    np.testing.assert_array_equal(added, every[0])
    (both, *_) = pairs_of(config | {"distortion": white}, EraseConfig(distortion=white))
    assert both.shape == (3, every[0].shape[1])


def test_another_rank_is_exported_anew(erased, tmp_path, capsys):
    words = [str(erased), str(tmp_path / "s"), "--checkpoint", "3epoch.pth", "--erase_rank"]
    for rank, said in (
        ("1", "1 directions erased from each"),
        ("1", "already exported"),
        ("3", "3 directions erased from each"),
    ):
        export_student.main([*words, rank])
        assert said in capsys.readouterr().out
