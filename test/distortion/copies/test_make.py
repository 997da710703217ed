import hashlib
import json
import shutil

import numpy as np
import pytest
import soundfile

from espnet_robust.bin import distort_data_dir as command
from espnet_robust.bin import make_protocol as protocol_command
from espnet_robust.bin import validate_data_dir
from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.data.audio import read_audio, to_int16
from espnet_robust.data.conditions import Condition, read_condition, write_condition
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.data.data_dir import validate_data_dir as validate
from espnet_robust.distortion import load_distortion
from espnet_robust.distortion.copies import distort_data_dir, make


def test_copy_is_complete(src, reference):
    copy = validate(reference, need=("wav.scp", "text", "utt2spk", "utt2intent"), audio=True)
    source = read_data_dir(src)
    assert copy.ids == source.ids
    for name in ("text", "utt2spk", "utt2intent", "spk2gender", "spk2utt"):
        assert (reference / name).read_bytes() == (src / name).read_bytes()
    assert not (reference / "feats.scp").exists()
    for utt, entry in copy.wav.items():
        num_samples = len(read_audio(entry))
        assert copy.tables["utt2num_samples"][utt] == str(num_samples)
        assert float(copy.tables["utt2dur"][utt]) == pytest.approx(num_samples / 16000, abs=1e-4)
        assert json.loads(copy.tables["utt2distortion"][utt])["seed"] == 1
    assert [f.name for f in reference.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("nj", [2, 4])
def test_same_bytes_whatever_the_number_of_processes(digest, src, config, reference, tmp_path, nj):
    distort_data_dir(src, tmp_path / "copy", config, seed=1, nj=nj)
    assert digest(tmp_path / "copy") == digest(reference)
    records = [(path / "utt2distortion").read_bytes() for path in (tmp_path / "copy", reference)]
    assert records[0] == records[1]


def test_another_seed_is_another_copy(digest, src, config, reference, tmp_path):
    distort_data_dir(src, tmp_path / "copy", config, seed=2)
    assert digest(tmp_path / "copy") != digest(reference)


def test_order_and_company_do_not_matter(src, config, reference, tmp_path):
    some = {n: dict(list(t.items())[70:75]) for n, t in read_data_dir(src).tables.items()}
    write_data_dir(tmp_path / "src", some)
    distort_data_dir(tmp_path / "src", tmp_path / "copy", config, seed=1)
    whole, part = read_data_dir(reference), read_data_dir(tmp_path / "copy")
    for utt, entry in part.wav.items():
        np.testing.assert_array_equal(read_audio(entry), read_audio(whole.wav[utt]))


def test_on_the_fly_equals_on_disk(digest, src, config, reference):
    distorter = load_distortion(config)
    source, copy = read_data_dir(src), read_data_dir(reference)
    shas = [hashlib.sha256(), hashlib.sha256()]
    for utt, entry in source.wav.items():
        fly, record = distorter(read_audio(entry), utt, seed=1)
        assert record["steps"] == json.loads(copy.tables["utt2distortion"][utt])["steps"]
        shas[0].update(to_int16(fly).tobytes())
        shas[1].update(to_int16(read_audio(copy.wav[utt])).tobytes())
    assert shas[0].hexdigest() == shas[1].hexdigest()


def test_mapped_speed_changes_the_durations(src, tmp_path):
    config = {"chain": [{"name": "speed", "factor": 1.25, "length": "map"}]}
    distort_data_dir(src, tmp_path / "copy", config, seed=0)
    before = read_data_dir(src).wav
    after = read_data_dir(tmp_path / "copy").tables["utt2num_samples"]
    for utt in list(before)[:3]:
        assert int(after[utt]) == round(len(read_audio(before[utt])) / 1.25)
    validate(tmp_path / "copy", audio=True)


def test_other_rates_are_resampled_or_refused(src, tmp_path):
    t = np.arange(8000) / 8000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 8000)
    path = write_data_dir(tmp_path / "src", {"wav.scp": {"a": str(tmp_path / "a.wav")}}).path
    config = {"chain": [{"name": "gain", "gain_db": -6}]}
    distort_data_dir(path, tmp_path / "copy", config, seed=0)
    wav = read_audio(read_data_dir(tmp_path / "copy").wav["a"], on_rate="refuse")
    assert len(wav) == 16000 and np.argmax(np.abs(np.fft.rfft(wav))) == 440
    with pytest.raises(UserError, match="utterance a: .*8000 Hz, need 16000 Hz"):
        distort_data_dir(path, tmp_path / "other", config | {"on_rate": "refuse"}, seed=0)


def test_results_above_full_scale_are_refused_if_asked(src, tmp_path, capsys):
    config = {"chain": [{"name": "gain", "gain_db": 20}]}
    distort_data_dir(src, tmp_path / "copy", config, seed=0)
    assert "150 of 150 utterances exceeded full scale" in capsys.readouterr().err
    with pytest.raises(UserError, match="utterance s0-000: .*exceeds full scale"):
        distort_data_dir(src, tmp_path / "other", config | {"overflow": "refuse"}, seed=0)
    assert not (tmp_path / "other").exists()


def test_made_again_only_if_something_changed(src, config, tmp_path, monkeypatch):
    made = []
    real = make.make_shards
    monkeypatch.setattr(make, "make_shards", lambda job, *a: made.append(1) or real(job, *a))
    for seed, times in ((1, 1), (1, 1), (2, 2), (1, 3)):
        distort_data_dir(src, tmp_path / "copy", {"chain": ["clip"]}, seed=seed)
        assert len(made) == times
    distort_data_dir(src, tmp_path / "copy", {"chain": ["gain"]}, seed=1)
    assert len(made) == 4


@pytest.mark.parametrize("nj", [1, 2])
def test_bad_audio_is_named_before_anything_is_made(broken, config, tmp_path, nj):
    (tmp_path / "bad.wav").write_text("no audio")
    path = broken(str(tmp_path / "bad.wav"))
    with pytest.raises(DataDirError, match=r"utterance s4-140: .*bad.wav: not audio"):
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj)
    assert sorted(f.name for f in tmp_path.glob("[!.]*")) == ["bad.wav", "broken"]


def test_transcript_without_audio(broken, src, config, tmp_path, follow):
    path = broken(read_data_dir(src).wav["s0-000"])
    with open(path / "text", "a") as f:
        f.write("z-999 NO AUDIO\n")
    with pytest.raises(
        DataDirError, match=r"text:151: does not match wav.scp: 'z-999' has no"
    ) as e:
        distort_data_dir(path, tmp_path / "copy", config, seed=1)
    follow(e.value)
    distort_data_dir(path, tmp_path / "copy", config, seed=1)


def test_no_copy_replaces_what_it_is_made_of(digest, src, material, tmp_path):
    own = tmp_path / "own"
    distort_data_dir(src, own, {"chain": ["clip"]}, seed=1)
    noise = {"chain": [{"name": "noise", "noise": str(own), "snr_db": 10}]}
    before = digest(own)
    for source, config in ((own, {"chain": ["clip"]}), (src, noise)):
        with pytest.raises(DataDirError, match="own: cannot replace what it is made of; choose"):
            distort_data_dir(source, own, config, seed=2)
    assert digest(own) == before


def test_will_not_replace_what_is_no_data_dir(src, config, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").write_text("x")
    with pytest.raises(DataDirError, match="not a data dir"):
        distort_data_dir(src, tmp_path / "home", config, seed=1)
    with pytest.raises(ConfigError, match="seed -1"):
        distort_data_dir(src, tmp_path / "copy", config, seed=-1)


def test_commands(src, config, material, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    command.main(
        ["--config", str(tmp_path / "c.yaml"), "--seed", "1", str(src), str(tmp_path / "copy")]
    )
    validate_data_dir.main([str(tmp_path / "copy"), "--audio"])
    assert "copy: 150 utterances" in capsys.readouterr().out
    protocol = {
        "conditions": {
            "noise": {
                "each_snr_db": [20, 0],
                "chain": [{"name": "noise", "noise": str(material / "noise")}],
            },
            "clip": {"chain": ["clip"]},
        }
    }
    (tmp_path / "p.yaml").write_text(json.dumps(protocol))
    for _ in range(2):
        protocol_command.main(
            ["--config", str(tmp_path / "p.yaml"), "--seed", "1", str(src), str(tmp_path / "test")]
        )
    about = {
        d.name: json.loads((d / "condition.json").read_text()) for d in tmp_path.glob("test_*")
    }
    of = {"protocol": str(tmp_path / "p.yaml")}
    assert about == {
        "test_noise_snr20": {"name": "noise_snr20", "snr_db": 20} | of,
        "test_noise_snr0": {"name": "noise_snr0", "snr_db": 0} | of,
        "test_clip": {"name": "clip", "snr_db": None} | of,
    }
    # The same noise, louder.
    crops = [
        [
            json.loads(r)["steps"][0]["crops"]
            for r in read_data_dir(d).tables["utt2distortion"].values()
        ]
        for d in (tmp_path / "test_noise_snr20", tmp_path / "test_noise_snr0")
    ]
    assert crops[0] == crops[1]
    # A condition that is taken out of the protocol is gone; what is not of this protocol stays.
    for name, of in (("test_own", None), ("test_other_clip", str(tmp_path / "p.yaml"))):
        shutil.copytree(tmp_path / "test_clip", tmp_path / name)
        write_condition(tmp_path / name, Condition(name.rpartition("_")[2], protocol=of))
    del protocol["conditions"]["clip"]
    (tmp_path / "p.yaml").write_text(json.dumps(protocol))
    protocol_command.main(
        ["--config", str(tmp_path / "p.yaml"), "--seed", "1", str(src), str(tmp_path / "test")]
    )
    assert "test_clip: removed: " in capsys.readouterr().err
    assert sorted(d.name for d in tmp_path.glob("test_*")) == [
        "test_noise_snr0", "test_noise_snr20", "test_other_clip", "test_own",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dst", "option", "name"),
    [
        ("test_noise_5db", [], "noise_5db"),
        ("noisy", [], "noisy"),
        ("noisy", ["--condition", "wind"], "wind"),
    ],
)
def test_condition_of_a_copy(src, tmp_path, dst, option, name):
    (tmp_path / "c.yaml").write_text("snr_db: 5\nchain: [white]\n")
    cmd = ["--config", str(tmp_path / "c.yaml"), "--seed", "1", "--format", "pipe", *option]
    command.main([*cmd, str(src), str(tmp_path / dst)])
    assert read_condition(tmp_path / dst) == Condition(name, 5)
    made = (tmp_path / dst / "wav.scp").stat().st_mtime_ns
    command.main([*cmd, "--condition", "other", str(src), str(tmp_path / dst)])
    assert read_condition(tmp_path / dst).name == "other"
    (tmp_path / dst / "condition.json").unlink()
    command.main([*cmd, str(src), str(tmp_path / dst)])
    assert read_condition(tmp_path / dst).name == name
    assert (tmp_path / dst / "wav.scp").stat().st_mtime_ns == made


@pytest.mark.parametrize(
    ("dst", "condition", "message"),
    [
        ("test_clean", None, "cannot be the condition 'clean'"),
        ("a b", None, "--condition: 'a b' cannot name a condition"),
        ("copy", "../up", "'../up' cannot name a condition"),
        ("copy", "", "'' cannot name a condition"),
    ],
)
def test_refused_conditions(src, tmp_path, dst, condition, message):
    with pytest.raises(ConfigError, match=message):
        distort_data_dir(src, tmp_path / dst, {"chain": ["clip"]}, seed=0, condition=condition)
    assert not list(tmp_path.iterdir())
    distort_data_dir(src, tmp_path / dst, {"chain": ["clip"]}, seed=0, condition="NAME")


def test_tables_that_follow_from_the_audio_are_not_carried(src, tmp_path):
    shutil.copytree(src, tmp_path / "src")
    for name in ("reco2dur", "utt2num_frames", "vad.scp", "cmvn.scp"):
        shutil.copy(src / "utt2spk", tmp_path / "src" / name)
    config = {"chain": [{"name": "speed", "factor": 1.25, "length": "map"}]}
    distort_data_dir(tmp_path / "src", tmp_path / "copy", config, seed=0, format="pipe")
    names = {f.name for f in (tmp_path / "copy").iterdir()}
    assert not names & {"reco2dur", "utt2num_frames", "vad.scp", "cmvn.scp", "feats.scp"}
    assert {"text", "utt2spk", "spk2gender", "utt2intent"} <= names
