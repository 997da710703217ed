import shutil

import numpy as np
import pytest
import yaml

from espnet_robust.common.errors import ConfigError
from espnet_robust.distortion import load_distortion
from espnet_robust.distortion.base import Choice, Uniform, parse_values
from espnet_robust.distortion.protocol import load_protocol


def errors_of(config, load=load_distortion):
    with pytest.raises(ConfigError) as e:
        load(config)
    return str(e.value)


def test_all_errors_at_once_with_the_nearest_names(tmp_path, material):
    config = {
        "chian": [],
        "overflow": "wrap",
        "chain": [
            {"name": "niose", "noise": "x"},
            {"name": "clip", "overdrive": [3, 12]},
            {"one_of": [{"name": "white", "snr_db": [20, 0], "weight": -1}, "claen"]},
            {"name": "pitch", "cents": "low", "prob": 1.5},
            {"name": "noise"},
            {"name": "rir", "rir": str(tmp_path / "nowhere"), "level": "loud"},
            {"name": "clip", "one_of": ["clean"]},
            {"name": "codec", "codec": ["mp3", "mp4"]},
            {"name": "babble", "speech": str(material / "voices"), "voices": 2.5},
            7,
        ],
    }
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(config))
    message = errors_of(path)
    for part in (
        f"{path}: 16 errors",
        "top level: unknown key 'chian', did you mean 'chain'?",
        "overflow: must be one of scale, refuse",
        "chain[0]: unknown kind 'niose', did you mean 'noise'?",
        "chain[1] (clip): unknown key 'overdrive', did you mean 'overdrive_db'?",
        "chain[2].one_of[0] (white).snr_db: need [low, high] with low <= high",
        "chain[2].one_of[0].weight: must be a number of at least 0, got -1",
        "chain[2].one_of[1]: unknown kind 'claen', did you mean 'clean'?",
        "chain[3] (pitch).cents: need a number",
        "chain[3].prob: must be a number in [0, 1], got 1.5",
        "chain[4] (noise).noise: is missing",
        "nowhere: no such data dir",
        "chain[5] (rir).level: must be one of active, whole, got 'loud'",
        "chain[6]: need exactly one of",
        "chain[7] (codec).codec: must be one of mp3",
        "chain[8] (babble).voices: must be a whole number",
        "chain[9]: need the name of a kind or a mapping, got 7",
    ):
        assert part in message
    assert len(message.splitlines()) == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping of options, got NoneType"),
        ("[1, 2]", "expected a mapping of options, got list"),
        ("chain: []", "chain: need a list of steps"),
        ("chain: {name: clean}", "need a list of steps"),
        ("chain: [{one_of: []}]", "need a list of steps"),
        ("chain: [{one_of: [{name: clean, weight: 0}]}]", "all weights are 0"),
        ("chain: [clean", "not valid YAML"),
        ("chain: [{name: clip, overdrive_db: .nan}]", "need a number"),
        ("chain: [{name: clip, overdrive_db: 61}]", r"must lie in \[0, 60\], got 61"),
        ("chain: [{name: clip, label: 3}]", "label: must be a word"),
        ("chain: [{name: [1], prob: 0}]", "unknown kind"),
        ("chain: [{name: clip, weight: 2}]", r"chain\[0\].weight: only steps within `one_of`"),
        (
            "chain: [{one_of: [{sequence: [{name: clip, weight: 2}]}]}]",
            r"sequence\[0\].weight: only",
        ),
    ],
)
def test_bad_yaml(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_distortion(tmp_path / "c.yaml")


def test_missing_file(tmp_path):
    assert "c.yaml: cannot be read: No such file" in errors_of(tmp_path / "c.yaml")


def test_values():
    assert parse_values(3) == Uniform((3, 3), (3, 3))
    assert parse_values([1, 2]) == Uniform((1, 2), (1, 2))
    assert parse_values({"choice": [1, 5]}) == Choice((1, 5))
    assert parse_values({"start": [15, 20], "end": 0}) == Uniform((15, 20), (0, 0))
    for wrong in (True, None, "3", [1], [1, 2, 3], [2, 1], {"choice": []}, {"start": [1, 2]}):
        with pytest.raises(ValueError, match="need"):
            parse_values(wrong)


def test_whole_numbers_are_all_as_likely():
    rng = np.random.default_rng(0)
    drawn = [parse_values([1, 3]).draw_whole(rng) for _ in range(3000)]
    assert [drawn.count(n) for n in (1, 2, 3)] == pytest.approx([1000] * 3, abs=120)
    assert {parse_values({"choice": [2, 5]}).draw_whole(rng) for _ in range(50)} == {2, 5}
    assert parse_values(4).draw_whole(rng) == 4


def test_snr_of_the_config_is_that_of_steps_without(material):
    noise = {"name": "noise", "noise": str(material / "noise")}
    config = {"snr_db": 7, "chain": [noise, {"name": "white", "snr_db": 3}, "clip"]}
    steps = load_distortion(config).chain.steps
    assert steps[0].kind.snr_db == parse_values(7)
    assert steps[1].kind.snr_db == parse_values(3)


def test_base_dir(material):
    config = {"chain": [{"name": "noise", "noise": "noise"}]}
    assert "noise: no such data dir" in errors_of(config)
    distorter = load_distortion(config, base_dir=material)
    assert distorter.data_dirs == (str(material / "noise"),)


def test_protocol(material):
    protocol = {
        "conditions": {
            "in": {
                "each_snr_db": [10, -5, 2.5],
                "chain": [{"name": "noise", "noise": str(material / "noise")}],
            },
            "clip": {"chain": ["clip"]},
            "both": {"snr_db": 10, "chain": ["white"]},
        }
    }
    conditions = load_protocol(protocol)
    assert [(made.condition.name, made.condition.snr_db) for made in conditions] == [
        ("in_snr10", 10),
        ("in_snr-5", -5),
        ("in_snr2.5", 2.5),
        ("clip", None),
        ("both", 10),
    ]
    assert conditions[1].distorter.chain.steps[0].kind.snr_db == parse_values(-5)


def test_protocol_errors():
    message = errors_of(
        {
            "condition": 1,
            "conditions": {
                "clean": {"chain": ["clean"]},
                "a b": {"chain": ["clip"]},
                "c": 3,
                "d": {"each_snr_db": 5, "chain": ["white"]},
                "e": {"chain": ["klip"]},
            },
        },
        load_protocol,
    )
    for part in (
        "unknown key 'condition', did you mean 'conditions'?",
        "conditions.clean: is the source itself and has no chain",
        "conditions.a b: 'a b' cannot name a condition",
        "conditions.c: need a mapping",
        "conditions.d.each_snr_db: need a list of dB, got 5",
        "conditions.e.chain[0]: unknown kind 'klip', did you mean 'clip'?",
    ):
        assert part in message
    assert "conditions: there are none" in errors_of({"conditions": {}}, load_protocol)


def test_what_a_step_needs_is_missed_before_anything_is_made(material, tmp_path, monkeypatch):
    rooms = tmp_path / "rooms"
    shutil.copytree(material / "rir", rooms)
    (rooms / "utt2rt60").unlink()
    load_distortion({"chain": [{"name": "rir", "rir": str(rooms)}]})
    step = {"name": "rir", "rir": str(rooms), "rt60": 0.4}
    protocol = {"conditions": {"c": {"chain": ["clean", step]}}}
    where = "conditions.c.chain[1] (rir): "
    assert f"{where}{rooms}: rt60 asked for, and no utt2rt60" in errors_of(protocol, load_protocol)
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind in ("sox_pitch", "sox_reverb", "sox_sinc"):
        assert f"chain[0] ({kind}): the kinds sox_* need the program" in errors_of(
            {"chain": [kind]}
        )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "band_limit", "low_hz": 3000, "high_hz": 500},
         "high_hz: must be at least 240 Hz above low_hz, got 500 Hz and 3000 Hz"),
        ({"name": "band_reject", "centre_hz": 100, "width_mel": 400},
         "no band of 400 mel or more has its middle there: it must lie from 184 to"),
        ({"name": "sox_sinc", "centre_hz": 7500, "width_mel": 400}, "no band of 400 mel or more"),
    ],
)  # fmt: skip
def test_bands_that_do_not_fit(step, message):
    assert message in errors_of({"chain": [step]})


def test_bands_that_fit_if_moved():
    load_distortion({"chain": [{"name": "band_reject", "centre_hz": [100, 300]}]})
    load_distortion({"chain": [{"name": "band_limit", "low_hz": [300, 3000], "high_hz": 3000}]})


def test_rates_are_refused_in_copies_only():
    distorter = load_distortion({"on_rate": "refuse", "chain": ["clip"]})
    with pytest.raises(ConfigError, match="on_rate: refuse: trainings resample other rates"):
        distorter.check_on_the_fly()
    load_distortion({"chain": ["clip"]}).check_on_the_fly()


def test_the_snr_of_a_protocol_is_that_of_conditions_with_noise(material):
    conditions = {
        "white": {"chain": ["white"]},
        "clip": {"chain": ["clip"]},
        "both": {"snr_db": 3, "each_snr_db": [1, 2], "chain": ["white"]},
    }
    assert "conditions.both: has both `snr_db` and `each_snr_db`" in errors_of(
        {"snr_db": 10, "conditions": conditions}, load_protocol
    )
    del conditions["both"]
    made = load_protocol({"snr_db": 10, "conditions": conditions})
    assert [one.condition.snr_db for one in made] == [10, None]
    assert [one.config.get("snr_db") for one in made] == [10, None]


@pytest.mark.parametrize("chain", [["clean"], [{"name": "white", "snr_db": 3}]])
def test_snr_db_needs_a_step_that_uses_it(material, chain):
    own = {"snr_db": [0, 20], "chain": chain}
    unused = "snr_db: no step of the chain uses it: each has its own `snr_db` or adds no noise"
    assert errors_of(own).count(unused) == 1
    protocol = {"conditions": {"c": own | {"snr_db": 3}}}
    assert errors_of(protocol, load_protocol).count(f"conditions.c.{unused}") == 1
    load_distortion(own | {"chain": [*chain, "white"]})
    load_distortion({"snr_db": None, "chain": chain})


def test_each_snr_db_needs_a_step_that_uses_it(material):
    noise, rir = str(material / "noise"), str(material / "rir")
    own, room = {"name": "white", "snr_db": 10}, {"name": "rir", "rir": rir}

    def protocol(*chain, snrs=(20, 0)):
        return {"conditions": {"c": {"each_snr_db": list(snrs), "chain": list(chain)}}}

    for chain in ([own], [room], [{"one_of": ["clip", own]}]):
        message = errors_of(protocol(*chain), load_protocol)
        assert message.count("conditions.c.each_snr_db: no step of the chain uses it") == 1
    for step in ("white", room | {"noise": noise}, {"sequence": [{"one_of": ["clip", "white"]}]}):
        assert len(load_protocol(protocol(own, step))) == 2
    assert "each_snr_db: need a list of dB, got []" in errors_of(
        protocol("white", snrs=()), load_protocol
    )
    # A chain that cannot be read says nothing about it.
    assert "each_snr_db" not in errors_of(protocol("wite"), load_protocol)


def test_snr_of_a_room_without_noise(material):
    room = {"name": "rir", "rir": str(material / "rir")}
    message = errors_of({"chain": [room | {"snr_db": 10}]})
    assert "chain[0] (rir).snr_db: has no effect without `noise`" in message
    assert "snr_db: no step of the chain uses it" in errors_of({"snr_db": 10, "chain": [room]})
