import pickle

import numpy as np
import pytest

from espnet_robust.common.errors import AudioError, ConfigError
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distill.views import CLEAN, MAPPINGS, Views
from espnet_robust.distortion import load_distortion
from espnet_robust.models.frames import Frames

CHAIN = {
    "chain": [{"one_of": [{"name": "clean", "weight": 1}, {"name": "white", "snr_db": [0, 20]}]}]
}
LABELS = {"clean": 0, "white": 1}


def make(mapping: str = "setup2", train: bool = True, crop: int = 8000, **options) -> Views:
    frames = Frames(16000, ((400, 320),))
    return Views(mapping, load_distortion(CHAIN), LABELS, 0, crop, frames, train, **options)


def speech(seed: int = 0, samples: int = 12000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


def draw(views: Views, uid: str) -> dict[str, np.ndarray]:
    return views(uid, {"speech": speech()})


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_who_hears_what(mapping):
    """Over many utterances: which side is ever distorted, and whether the draws are shared."""
    clean = make("none")
    distorted, equal = {"speech": 0, "student_speech": 0}, 0
    for i in range(40):
        ours, reference = draw(make(mapping), f"u{i}"), draw(clean, f"u{i}")["speech"]
        for side in distorted:
            assert len(ours[side]) == 8000
            distorted[side] += not np.array_equal(ours[side], reference)
        equal += np.array_equal(ours["speech"], ours["student_speech"])
        assert ours["domain"] == int(not np.array_equal(ours["student_speech"], reference))
    assert (distorted["speech"] > 5) == (mapping in ("setup2", "same"))
    assert (distorted["student_speech"] > 5) == (mapping != "none")
    assert (equal == 40) == (mapping in ("none", "same"))


def test_draws_depend_on_utterance_and_epoch_and_nothing_else():
    views = make()
    views.start_epoch(Schedule(3, max_epoch=10))
    in_order = [draw(views, f"u{i}") for i in range(8)]
    worker = pickle.loads(pickle.dumps(views))  # what a worker process gets
    backwards = [draw(worker, f"u{i}") for i in reversed(range(8))][::-1]
    for a, b in zip(in_order, backwards, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    views.start_epoch(Schedule(4, max_epoch=10))
    later = [draw(views, f"u{i}")["student_speech"] for i in range(8)]
    assert not any(
        np.array_equal(a["student_speech"], b) for a, b in zip(in_order, later, strict=True)
    )


@pytest.mark.parametrize("fixed_crops", [False, True])
def test_another_turn_in_an_epoch_is_another_draw(fixed_crops):
    def turns(views: Views) -> list[dict[str, np.ndarray]]:
        found = []
        for views.turn in range(9):
            found.append(draw(views, "u1"))
        return found

    found = turns(make("setup1", mask_prob=0.5, fixed_crops=fixed_crops))
    assert len({views["student_mask"].tobytes() for views in found}) > 4
    assert {views["domain"].item() for views in found} == {0, 1}
    assert len({views["student_speech"].tobytes() for views in found}) > 4
    crops = {views["speech"].tobytes() for views in found}
    assert len(crops) == (1 if fixed_crops else 9)


def test_validation_hears_the_same_in_every_epoch():
    views = make(train=False)
    first = draw(views, "u")
    views.start_epoch(Schedule(7, max_epoch=7))
    assert all(np.array_equal(first[key], value) for key, value in draw(views, "u").items())


@pytest.mark.parametrize(("mapping", "extra"), [("setup1", ()), ("setup2", ()), ("same", (CLEAN,))])
def test_views_of_different_lengths_are_refused(mapping, extra):
    """Before any utterance is read."""
    tempo = {"name": "speed", "length": "map"}
    frames = Frames(16000, ((400, 320),))
    for chain in ([tempo], [{"one_of": ["clean", {"sequence": ["clean", tempo], "prob": 0.1}]}]):
        distorter = load_distortion({"chain": chain})
        message = "distortion: speed changes the length of utterances, .*write `length: keep`"
        with pytest.raises(ConfigError, match=message):
            Views(mapping, distorter, LABELS, 0, 8000, frames, True, extra=extra)


def test_one_view_may_change_its_length():
    distorter = load_distortion({"chain": [{"name": "speed", "factor": 2, "length": "map"}]})
    views = Views("same", distorter, {"speed": 1}, 0, 8000, Frames(16000, ((400, 320),)), True)
    heard = draw(views, "u")
    assert len(heard["speech"]) == len(heard["student_speech"]) == 4000


@pytest.mark.parametrize(
    ("wav", "message"),
    [
        (np.zeros(399, np.float32), "less than one frame"),
        (np.full(16000, np.nan, np.float32), "NaN"),
        (np.zeros((16000, 2), np.float32), "2 channels"),
    ],
)
def test_bad_audio_names_the_utterance(wav, message):
    with pytest.raises(AudioError, match=f"u7.*{message}"):
        make()("u7", {"speech": wav})
