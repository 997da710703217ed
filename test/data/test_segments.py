"""Data dirs whose utterances are parts of longer recordings."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.bin import cut_segments as command
from espnet_robust.bin import validate_data_dir as validate_command
from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import audio_info, check_audio, read_audio, resample
from espnet_robust.data.data_dir import read_data_dir, validate_data_dir, write_data_dir
from espnet_robust.data.from_audio import add_audio_tables, cut_segments
from espnet_robust.data.segments import overlapping
from espnet_robust.data.select import combine_data_dirs, subset_data_dir
from espnet_robust.distortion.copies import distort_data_dir, remake

RATE = 16_000
WHITE = {"chain": [{"name": "white", "snr_db": 10}]}
SEGMENTS = {"a-1": "r1 0 0.5", "a-2": "r1 0.5 1.25", "b-1": "r2 0.300 -1"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    entries = {}
    for name, seconds in (("r1", 2), ("r2", 1), ("unused", 1)):
        entries[name] = str(path / f"{name}.wav")
        soundfile.write(entries[name], 0.1 * rng.standard_normal(seconds * RATE), RATE)
    return entries


def make(path, recordings, segments=SEGMENTS):
    path.mkdir()
    for name, table in (("wav.scp", recordings), ("segments", segments)):
        (path / name).write_text("".join(f"{k} {v}\n" for k, v in sorted(table.items())))
    for name in ("text", "utt2spk"):
        (path / name).write_text("".join(f"{utt} {utt}\n" for utt in sorted(segments)))
    return path


@pytest.fixture
def src(tmp_path, recordings):
    return make(tmp_path / "src", recordings)


def test_utterances_are_parts_of_recordings(src, recordings):
    data = validate_data_dir(src, audio=True)
    assert data.ids == ["a-1", "a-2", "b-1"]
    r1, _ = soundfile.read(recordings["r1"], dtype="float32")
    r2, _ = soundfile.read(recordings["r2"], dtype="float32")
    for utt, want in (("a-1", r1[:8000]), ("a-2", r1[8000:20_000]), ("b-1", r2[4800:])):
        assert audio_info(data.wav[utt]).num_samples == len(want)
        np.testing.assert_array_equal(read_audio(data.wav[utt]), want)
        crop = read_audio(data.wav[utt], start=100, num_samples=50)
        np.testing.assert_array_equal(crop, want[100:150])
        with pytest.raises(AudioError, match=f"it has {len(want)}"):
            read_audio(data.wav[utt], start=len(want) - 1, num_samples=2)


@given(
    start=st.integers(0, 1900), length=st.integers(1, 1900), rate=st.sampled_from([8000, 44_100])
)
def test_as_if_cut_to_a_file(tmp_path_factory, recordings, start, length, rate):
    """At any rate, to the sample: nothing of what stands beside a segment gets in."""
    end = min(start + length, 2000)
    path = tmp_path_factory.getbasetemp() / f"{rate}.wav"
    if not path.exists():
        wav, _ = soundfile.read(recordings["r1"])
        soundfile.write(path, resample(wav, RATE, rate), rate, subtype="PCM_16")
    wav, _ = soundfile.read(path, dtype="float32")
    want = wav[start * rate // 1000 : end * rate // 1000]
    entry = f"{path}[{start / 1000:.3f}:{end / 1000:.3f}]"
    np.testing.assert_array_equal(read_audio(entry, rate=rate), want)
    if len(want) * RATE // rate:
        found = read_audio(entry)
        np.testing.assert_allclose(found, resample(want, rate, RATE)[: len(found)], atol=1e-6)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r1 1.0 0.5", "a-2: ends at 0.5 s, before it begins at 1.0 s"),
        ("r1 1.0 1.0", "a-2: ends at 1.0 s, before it begins"),
        ("r1 -1 1.0", "a-2: -1 to 1.0 are not times"),
        ("r1 nan 1.0", "a-2: nan to 1.0 are not times"),
        ("r1 0 inf", "a-2: 0 to inf are not times"),
        ("r1 0", "a-2: 'r1 0', need RECORDING START END"),
        ("r1 0 1 0 0", "a-2: 'r1 0 1 0 0', need RECORDING START END .CHANNEL"),
        ("r1 0 1 A", "a-2: channel 'A', need 0, 1"),
        ("r9 0 1", "a-2: no recording 'r9' in wav.scp"),
    ],
)
def test_wrong_lines_are_named(tmp_path, recordings, line, message):
    src = make(tmp_path / "src", recordings, SEGMENTS | {"a-2": line})
    with pytest.raises(DataDirError, match=f"segments: utterance {message}"):
        read_data_dir(src)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r1 2.0 2.5", "begins after the end; the recording has 2.00 s"),
        ("r1 7 -1", "begins after the end"),
        ("r1 1.0 2.02", "ends after the end; the recording has 2.00 s"),
        ("r1 1.0 99", "ends after the end"),
        ("r1 1.00000 1.00001", "shorter than one sample"),
        ("r1 0 1 1", "no channel 1; it has 1"),
    ],
)
def test_what_is_not_in_the_recording_is_named(tmp_path, recordings, line, message):
    src = make(tmp_path / "src", recordings, SEGMENTS | {"a-2": line})
    with pytest.raises(DataDirError, match=f"utterance a-2: .*{message}"):
        validate_data_dir(src, audio=True)
    for make_one in (cut_segments, lambda a, b: distort_data_dir(a, b, WHITE, seed=0)):
        with pytest.raises(DataDirError, match=f"utterance a-2: .*{message}"):
            make_one(src, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_times_may_be_rounded(tmp_path, recordings):
    src = make(tmp_path / "src", recordings, {"a": "r1 1.5 2.01"})
    assert check_audio(read_data_dir(src).wav["a"]).num_samples == 8000


def test_one_channel_of_several(tmp_path):
    stereo = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
    soundfile.write(tmp_path / "call.wav", stereo, RATE)
    lines = {"A": "call 0.25 0.5 0", "B": "call 0.25 -1 1"}
    src = make(tmp_path / "src", {"call": str(tmp_path / "call.wav")}, lines)
    data = validate_data_dir(src, audio=True)
    np.testing.assert_allclose(read_audio(data.wav["A"]), stereo[4000:8000, 0], atol=1e-4)
    np.testing.assert_allclose(read_audio(data.wav["B"]), stereo[4000:, 1], atol=1e-4)


def test_pipes_and_names_with_brackets(tmp_path, recordings):
    command = f"cat {recordings['r1']} |"
    assert len(read_audio(f"{command}[0.5:1]", allow_pipe=True)) == 8000
    with pytest.raises(AudioError, match="only files are read"):
        read_audio(f"{command}[0.5:1]")
    soundfile.write(tmp_path / "a[0:1].wav", np.zeros(100), RATE)
    (tmp_path / "a[0:1].wav").rename(tmp_path / "a[0:1]")
    assert len(read_audio(tmp_path / "a[0:1]")) == 100


def test_subset_and_combination_stay_segments(src, tmp_path, recordings):
    part = subset_data_dir(src, tmp_path / "part", ids=["a-2"])
    assert (part.path / "wav.scp").read_text() == f"r1 {recordings['r1']}\n"
    assert (part.path / "segments").read_text() == "a-2 r1 0.5 1.25\n"
    assert read_data_dir(part.path) == part
    whole = write_data_dir(
        tmp_path / "whole",
        {name: {"c": value} for name, value in (("wav.scp", recordings["r2"]), ("text", "x"))},
    )
    both = combine_data_dirs([part.path, whole.path], tmp_path / "both")
    assert read_data_dir(both.path) == both
    assert (both.path / "segments").read_text() == "a-2 r1 0.5 1.25\nc c 0 -1\n"
    assert read_data_dir(both.path).ids == ["a-2", "c"]
    np.testing.assert_array_equal(read_audio(both.wav["c"]), read_audio(recordings["r2"]))
    other = make(tmp_path / "other", {"r1": recordings["r2"]}, {"d": "r1 0 1"})
    with pytest.raises(DataDirError, match="two recordings are called 'r1'"):
        combine_data_dirs([part.path, other], tmp_path / "both")


def test_a_copy_is_that_of_the_cut_audio(src, tmp_path):
    """Same ids, same seed: the same bytes, whether cut before or on the way."""
    for name in ("reco2dur", "reco2file_and_channel", "utt2dur"):
        (src / name).write_text("a-1 9\na-2 9\nb-1 9\n")
    cut = cut_segments(src, tmp_path / "cut")
    copies = {}
    for name, path in (("direct", src), ("cut", cut.path)):
        distort_data_dir(path, tmp_path / name / "copy", WHITE, seed=3)
        copies[name] = read_data_dir(tmp_path / name / "copy")
    assert copies["direct"].ids == ["a-1", "a-2", "b-1"]
    for utt, entry in copies["direct"].wav.items():
        np.testing.assert_array_equal(read_audio(entry), read_audio(copies["cut"].wav[utt]))
    assert not {f.name for f in copies["direct"].path.iterdir()} & {
        "segments", "reco2dur", "reco2file_and_channel",
    }  # fmt: skip
    assert copies["direct"].tables["utt2dur"]["a-1"] == "0.5"
    np.testing.assert_allclose(
        remake(copies["direct"].path, "a-2"), read_audio(copies["direct"].wav["a-2"]), atol=2**-15
    )


def test_cut(src, tmp_path, capsys):
    command.main([str(src), str(tmp_path / "cut")])
    assert capsys.readouterr().out == f"{tmp_path / 'cut'}: 3 utterances\n"
    data = validate_data_dir(
        tmp_path / "cut", need=("text", "utt2spk", "utt2dur", "utt2num_samples"), audio=True
    )
    assert data.recordings is None and data.tables["text"] == read_data_dir(src).tables["text"]
    for utt, entry in read_data_dir(src).wav.items():
        np.testing.assert_array_equal(read_audio(data.wav[utt]), read_audio(entry))
    with pytest.raises(DataDirError, match="no segments in it"):
        cut_segments(data.path, tmp_path / "again")


def test_overlaps_are_named(tmp_path, recordings, capsys):
    assert overlapping(SEGMENTS, "segments") == []
    lines = SEGMENTS | {"a-2": "r1 0.4 1.25", "c": "r1 1.0 -1"}
    src = make(tmp_path / "src", recordings, lines)
    assert overlapping(lines, "segments") == [("a-1", "a-2"), ("a-2", "c")]
    validate_command.main([str(src), "--audio"])
    assert "2 utterances begin before the previous one ends, first a-2 in a-1" in (
        capsys.readouterr().err
    )


def test_tables_from_headers(src, tmp_path, recordings):
    assert add_audio_tables(src) == ["utt2num_samples", "utt2dur"]
    assert (src / "utt2num_samples").read_text() == "a-1 8000\na-2 12000\nb-1 11200\n"
    assert (src / "utt2dur").read_text() == "a-1 0.5\na-2 0.75\nb-1 0.7\n"
    assert add_audio_tables(src) == []
    validate_data_dir(src, audio=True)
    soundfile.write(tmp_path / "8k.wav", np.zeros(800), 8000)
    data = write_data_dir(
        tmp_path / "8k", {"wav.scp": {"u": str(tmp_path / "8k.wav")}, "utt2dur": {"u": "0.1000"}}
    )
    validate_command.main([str(data.path), "--need", "wav.scp", "--add_tables", "--audio"])
    assert (data.path / "utt2num_samples").read_text() == "u 1600\n"
    assert (data.path / "utt2dur").read_text() == "u 0.1000\n"
    (tmp_path / "8k.wav").unlink()
    (data.path / "utt2dur").unlink()
    with pytest.raises(DataDirError, match="utterance u: .*8k.wav: no such file"):
        add_audio_tables(data.path)


@pytest.fixture
def files(tmp_path):
    """Two utterances of 8 kHz, of which the second was added after the tables were made."""
    for name, samples in (("a", 800), ("b", 1600)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(samples), 8000)
    wav = {name: str(tmp_path / f"{name}.wav") for name in "ab"}
    data = write_data_dir(tmp_path / "data", {"wav.scp": wav, "text": dict.fromkeys(wav, "x")})
    (data.path / "utt2dur").write_text("a 0.10\n")
    (data.path / "utt2num_samples").write_text("a 1600\n")
    return data.path


def test_tables_are_completed_with_what_was_added(files, follow):
    with pytest.raises(DataDirError, match="utt2num_samples does not match wav.scp: 1 .*'b'") as e:
        validate_data_dir(files, need=("text",))
    assert "data fix" not in str(e.value)  # it would drop b
    follow(e.value)
    assert (files / "utt2num_samples").read_text() == "a 1600\nb 3200\n"
    assert (files / "utt2dur").read_text() == "a 0.10\nb 0.2\n"
    assert add_audio_tables(files) == []
    (files / "utt2num_samples").write_text("a 800\nc 5\n")  # at the file's rate
    assert add_audio_tables(files) == ["utt2num_samples"]
    assert (files / "utt2num_samples").read_text() == "a 800\nb 1600\n"


@pytest.mark.parametrize(
    ("name", "told", "found"),
    [
        ("utt2num_samples", "801", "800"),
        ("utt2dur", "0.2", "0.1"),
        ("utt2dur", "nan", "0.1"),
        ("utt2dur", "long", "0.1"),
    ],
)
def test_a_table_that_contradicts_the_audio_is_not_overwritten(files, name, told, found, follow):
    before = {file: (files / file).read_text() for file in ("utt2dur", "utt2num_samples")}
    (files / name).write_text(f"a {told}\n")
    wanted = f"data/{name}: it covers other .* utterance a: {told}, but its audio gives {found};"
    with pytest.raises(DataDirError, match=wanted) as e:
        add_audio_tables(files)
    before[name] = f"a {told}\n"
    assert {file: (files / file).read_text() for file in before} == before
    follow(e.value)
    assert add_audio_tables(files) == ["utt2num_samples", "utt2dur"]
    validate_data_dir(files, need=("text",), audio=True)


def test_what_else_does_not_agree_is_said(files):
    (files / "text").write_text("a x\n")
    with pytest.raises(DataDirError, match="data/text does not match wav.scp: 1 .*: .* data fix"):
        add_audio_tables(files)
    assert (files / "utt2dur").read_text() == "a 0.10\n"
