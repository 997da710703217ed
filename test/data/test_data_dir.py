import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import DataDirError
from espnet_robust.data import replacing
from espnet_robust.data.data_dir import (
    iter_table,
    read_data_dir,
    validate_data_dir,
    write_data_dir,
)
from espnet_robust.data.replacing import replacing_dir


def tables(*ids):
    return {
        "wav.scp": {utt: f"audio/{utt}.flac" for utt in ids},
        "text": {utt: f"SAY {utt}".upper() for utt in ids},
        "utt2spk": {utt: utt.partition("-")[0] for utt in ids},
    }


@pytest.fixture
def data(tmp_path):
    return write_data_dir(tmp_path / "data", tables("b-1", "a-2", "a-1"))


def test_round_trip_is_sorted(data):
    again = read_data_dir(data.path)
    assert again == data
    assert again.ids == ["a-1", "a-2", "b-1"]
    assert (data.path / "spk2utt").read_text() == "a a-1 a-2\nb b-1\n"


def test_order_is_by_byte(tmp_path):
    ids = ["b", "B", "a_1", "a-1", "é", "\U00010000", "\uffff"]
    data = write_data_dir(tmp_path / "data", {"wav.scp": dict.fromkeys(ids, "x")})
    assert data.ids == sorted(ids, key=lambda utt: utt.encode())
    assert read_data_dir(data.path).ids == data.ids


def test_empty_transcript_and_wide_blank_survive(tmp_path):
    written = {"wav.scp": {"a": "x", "b": "x"}, "text": {"a": "", "b": "日\u3000本"}}
    write_data_dir(tmp_path / "data", written)
    assert read_data_dir(tmp_path / "data").tables == written


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "b x\na x\n",
            r"wav.scp:2: utterance 'a' after 'b': not sorted; fix: espnet-robust data fix",
        ),
        ("a x\na y\n", r"wav.scp:2: utterance 'a' occurs twice"),
        ("a x\n\nb x\n", "wav.scp:2: blank line"),
        ("\ufeffa x\n", r"wav.scp: begins with a byte-order mark"),
        ("a x\nb\n", "wav.scp:2: nothing after the id 'b'"),
        ("", "no utterances"),
    ],
)
def test_bad_table_is_named(tmp_path, lines, message):
    (tmp_path / "wav.scp").write_text(lines)
    with pytest.raises(DataDirError, match=message):
        read_data_dir(tmp_path)


def test_not_utf8(tmp_path, follow):
    data_dir = tmp_path / "it's latin"
    data_dir.mkdir()
    (data_dir / "wav.scp").write_text("a caf\u00e9.wav\n", encoding="latin-1")
    with pytest.raises(DataDirError, match="not UTF-8") as e:
        read_data_dir(data_dir)
    follow(e.value)
    assert read_data_dir(data_dir).wav == {"a": "caf\u00e9.wav"}


def _tables(**lines):
    return {"wav.scp": "a-1 x\nb-1 x\n", "utt2spk": "a-1 a\nb-1 b\n"} | lines


@pytest.mark.parametrize(
    "lines",
    [
        _tables(text="b-1 B\na-1 A\n"),
        _tables(text="a-1 A\na-1 A\nb-1 B\n"),
        _tables(text="a-1 A\n\nb-1 B\n"),
        _tables(text="a-1 A\n"),
        _tables(text="a-1 A\nb-1 B\nc-1 C\n"),
        _tables(text="a-1 A\nb-1 B\n", utt2dur="a-1 1\nb-1\n"),
        _tables(text="a-1 A\nb-1 B\n", spk2utt="a a-1 b-1\n"),
        _tables(text="a-1 A\nb-1 B\n", spk2utt="b b-1\na a-1\n"),
    ],
)
def test_advice_followed_literally_helps(tmp_path, lines, follow):
    path = tmp_path / "a dir"
    path.mkdir()
    for name, content in lines.items():
        (path / name).write_text(content)
    with pytest.raises(DataDirError) as e:
        validate_data_dir(path)
    assert "\n" not in str(e.value)
    follow(e.value)
    assert validate_data_dir(path).ids in (["a-1", "b-1"], ["a-1"])


def test_missing(tmp_path):
    with pytest.raises(DataDirError, match="no such data dir"):
        read_data_dir(tmp_path / "nowhere")
    with pytest.raises(DataDirError, match="no wav.scp"):
        read_data_dir(tmp_path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t["text"].pop("a-1"),
            r"text does not match wav.scp: 1 utterances missing",
        ),
        (lambda t: t["wav.scp"].pop("a-1"), r"1 without audio \['a-1'\]"),
        (lambda t: t["wav.scp"].clear(), "no utterances to write"),
        (lambda t: t["text"].update({"a-1": "TWO\nLINES"}), "line break"),
        (lambda t: t["utt2spk"].update({"a-1": " "}), "nothing to write"),
        (lambda t: [table.update({"a 3": "x"}) for table in t.values()], "contains blanks"),
    ],
)
def test_write_refuses(tmp_path, edit, message):
    edited = tables("a-1", "b-1")
    edit(edited)
    with pytest.raises(DataDirError, match=message):
        write_data_dir(tmp_path / "out", edited)
    assert list(tmp_path.iterdir()) == []


def test_write_replaces_a_data_dir_and_nothing_else(tmp_path, data):
    write_data_dir(data.path, tables("c-1"))
    assert read_data_dir(data.path).ids == ["c-1"]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    with pytest.raises(DataDirError, match="exists and is not a data dir"):
        write_data_dir(precious, tables("c-1"))
    assert (precious / "thesis.tex").exists()


def test_failure_keeps_the_old_one(data):
    with pytest.raises(ZeroDivisionError), replacing_dir(data.path) as temporary:
        (temporary / "wav.scp").write_text("half")
        raise ZeroDivisionError
    assert read_data_dir(data.path) == data
    assert [f.name for f in data.path.parent.iterdir()] == ["data"]


def test_what_killed_processes_left_is_removed_after_a_week(tmp_path, monkeypatch):
    for name in (".data.123.tmp", ".data.0a1b2c3d4e5f.old", ".data.x.tmp", ".data2.123.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stray").write_text("half")
    write_data_dir(tmp_path / "data", tables("c-1"))
    assert len([*tmp_path.iterdir()]) == 5  # they may be of a process that still runs
    monkeypatch.setattr(replacing, "LEFT_S", 0.0)
    write_data_dir(tmp_path / "data", tables("c-2"))
    assert read_data_dir(tmp_path / "data").ids == ["c-2"]
    assert {f.name for f in tmp_path.iterdir()} == {"data", ".data.x.tmp", ".data2.123.tmp"}
    assert not (tmp_path / "data/stray").exists()


def test_validate_finds_what_does_not_agree(data):
    (data.path / "utt2dur").write_text("a-1 1.0\nb-1 1.0\n")
    with pytest.raises(DataDirError, match=r"utt2dur does not match wav.scp: 1 .*'a-2'"):
        validate_data_dir(data.path)
    (data.path / "utt2dur").unlink()
    (data.path / "spk2utt").write_text("a a-1\nb b-1\n")
    with pytest.raises(DataDirError, match="spk2utt does not match"):
        validate_data_dir(data.path)
    with pytest.raises(DataDirError, match="no utt2intent"):
        validate_data_dir(data.path, need=("utt2intent",))


def test_validate_opens_the_audio(tmp_path):
    good, bad = tmp_path / "good.flac", tmp_path / "bad.wav"
    soundfile.write(good, np.zeros(100), 16000)
    data = write_data_dir(tmp_path / "data", {"wav.scp": {"a": str(good), "b": str(bad)}})
    need = ("wav.scp",)
    validate_data_dir(data.path, need=need)

    def complaint():
        with pytest.raises(DataDirError) as e:
            validate_data_dir(data.path, need=need, audio=True)
        assert "utterance b" in str(e.value)
        return str(e.value)

    assert "no such file" in complaint()
    bad.write_bytes(b"")
    assert "empty file" in complaint()
    bad.write_text("this is not audio")
    assert "not audio" in complaint()
    soundfile.write(bad, np.zeros(0), 16000)
    assert "no samples" in complaint()
    soundfile.write(bad, np.array([0.0, np.nan, 0.0]), 16000, subtype="FLOAT")
    assert "NaN" in complaint()
    soundfile.write(bad, np.zeros(100), 16000)
    validate_data_dir(data.path, need=need, audio=True)


def test_the_audio_is_as_long_as_its_table_says(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    path = tmp_path / "data"
    for told, good in (("800", True), ("1600", True), ("801", False), ("many", False)):
        write_data_dir(
            path, {"wav.scp": {"a": str(tmp_path / "a.wav")}, "utt2num_samples": {"a": told}}
        )
        validate_data_dir(path, need=())
        if good:
            validate_data_dir(path, need=(), audio=True)
            continue
        message = f"utt2num_samples: utterance a: {told}, but its audio has 800 samples at 8000 Hz"
        with pytest.raises(DataDirError, match=message):
            validate_data_dir(path, need=(), audio=True)


def test_iter_table_reads_one_line_at_a_time(tmp_path):
    (tmp_path / "wav.scp").write_text("a x\nb y\na z\n")
    rows = iter_table(tmp_path / "wav.scp")
    assert (next(rows), next(rows)) == (("a", "x"), ("b", "y"))
    with pytest.raises(DataDirError):
        next(rows)
