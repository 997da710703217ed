import pickle
from collections import Counter

import numpy as np
import pytest

from espnet_robust.common.errors import AudioError, ConfigError
from espnet_robust.distortion import load_distortion, rng_for
from espnet_robust.distortion.level import power


def domains(distorter, number=2000, **kwargs):
    return Counter(
        distorter.draw(rng_for(0, str(i)), 16000, **kwargs)["domain"] for i in range(number)
    )


def test_weights_and_probability(steps):
    config = {
        "chain": [
            {"one_of": [{"name": "clip", "weight": 3}, "gain"]},
            {"name": "white", "prob": 0.25},
        ]
    }
    distorter = load_distortion(config)
    assert distorter.kinds == ("clean", "clip", "clip+white", "gain", "gain+white")
    got = domains(distorter)
    for name, part in (("clip", 9), ("clip+white", 3), ("gain", 3), ("gain+white", 1)):
        assert got[name] / 2000 == pytest.approx(part / 16, abs=0.04)


def test_double_mode_leaves_a_sixteenth_clean():
    four = ["white", "coloured", "dropout", "clean"]
    other = ["clip", "gain", "band_reject", "clean"]
    distorter = load_distortion({"chain": [{"one_of": four}, {"one_of": other}]})
    got = domains(distorter, 4000)
    assert len(distorter.kinds) == 16 and set(got) == set(distorter.kinds)
    assert got["clean"] / 4000 == pytest.approx(1 / 16, abs=0.015)


def test_sequence_and_labels(steps):
    group = {"sequence": [{"name": "white", "label": "hiss"}, steps["rir"]], "weight": 2}
    distorter = load_distortion({"chain": [{"one_of": [group, "clean"]}, steps["rir"]]})
    assert distorter.kinds == ("clean", "hiss+reverb", "reverb")
    assert set(domains(distorter, 100)) == {"hiss+reverb", "reverb"}


def test_zero_weight_and_zero_prob_never_come():
    config = {"chain": [{"one_of": [{"name": "clip", "weight": 0}, "gain"]}]}
    config["chain"].append({"name": "white", "prob": 0})
    assert load_distortion(config).kinds == ("clean", "gain")
    assert set(domains(load_distortion(config), 200)) == {"gain"}


def test_curriculum():
    snr = {"start": [15, 20], "end": [0, 10]}
    distorter = load_distortion({"chain": [{"name": "white", "snr_db": snr}]})

    def snrs(progress):
        drawn = (distorter.draw(rng_for(0, str(i)), 10, progress=progress) for i in range(300))
        return [record["steps"][0]["snr_db"] for record in drawn]

    for progress, low, high in ((0, 15, 20), (0.5, 7.5, 15), (1, 0, 10)):
        got = snrs(progress)
        assert low <= min(got) < low + 0.5 and high - 0.5 < max(got) <= high


def test_teacher_and_student_hear_different_draws(speech):
    distorter = load_distortion({"chain": ["white"]})
    student, _ = distorter(speech, "a", seed=0, side="student")
    teacher, _ = distorter(speech, "a", seed=0, side="teacher")
    later, _ = distorter(speech, "a", seed=0, epoch=1)
    again, _ = distorter(speech, "a", seed=0)
    assert not np.array_equal(student, teacher)
    assert not np.array_equal(student, later)
    np.testing.assert_array_equal(student, again)


def test_nothing_global_is_read_or_changed(speech, steps):
    distorter = load_distortion({"chain": [steps["noise"], "white", "dropout"]})
    np.random.seed(0)  # noqa: NPY002
    a, _ = distorter(speech, "a", seed=0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    distorter(speech, "b", seed=0)
    b, _ = distorter(speech, "a", seed=0)
    np.testing.assert_array_equal(a, b)
    np.random.seed(0)  # noqa: NPY002
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_pickled_distorter_is_the_same(speech, steps):
    distorter = load_distortion({"chain": [steps["noise"], steps["rir"], steps["babble"]]})
    again = pickle.loads(pickle.dumps(distorter))
    np.testing.assert_array_equal(distorter(speech, "a", seed=0)[0], again(speech, "a", seed=0)[0])


def test_loud_results_are_turned_down_or_refused(speech):
    config = {"chain": [{"name": "white", "snr_db": -20, "level": "whole"}]}
    distorter = load_distortion(config)
    record = distorter.draw(rng_for(0, "a"), len(speech))
    out, scale = distorter.apply_scaled(speech, record)
    assert np.abs(out).max() == pytest.approx(1.0) and 0 < scale < 1
    noise = out / np.float32(scale) - speech
    assert 10 * np.log10(power(speech) / power(noise)) == pytest.approx(-20, abs=0.05)
    with pytest.raises(AudioError, match="exceeds full scale"):
        load_distortion(config | {"overflow": "refuse"}).apply(speech, record)


def test_clean_is_a_copy(speech):
    out, record = load_distortion({"chain": ["clean"]})(speech, "a", seed=0)
    np.testing.assert_array_equal(out, speech)
    assert not np.shares_memory(out, speech)
    assert record == {"domain": "clean", "steps": [], "seed": 0, "epoch": 0, "side": "student"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_samples_are_refused(speech, steps, bad):
    wav = speech.copy()
    wav[100] = bad
    for name in ("clean", "noise", "rir", "clip", "dropout", "band_reject"):
        with np.errstate(all="ignore"), pytest.raises(AudioError, match="NaN or infinite"):
            load_distortion({"chain": [steps[name]]})(wav, "a", seed=0)


@pytest.mark.parametrize("shape", [(0,), (10, 2), ()])
def test_bad_shapes_are_refused(shape):
    with pytest.raises(AudioError, match="need mono audio"):
        load_distortion({"chain": ["clip"]}).apply(np.zeros(shape, np.float32), {"steps": []})


def test_unknown_record(speech):
    distorter = load_distortion({"chain": ["clip"]})
    with pytest.raises(ConfigError, match="unknown kind 'klip'"):
        distorter.apply(speech, {"domain": "clip", "steps": [{"kind": "klip"}]})
