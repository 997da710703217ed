import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_robust.bin.fix_data_dir import main
from espnet_robust.common.errors import DataDirError
from espnet_robust.data.data_dir import validate_data_dir
from espnet_robust.data.fix import fix_data_dir


@pytest.fixture
def make(tmp_path):
    def make(**tables):
        path = tmp_path / "data"
        path.mkdir(exist_ok=True)
        for name, content in tables.items():
            (path / name.replace("_scp", ".scp")).write_text(content, encoding="utf-8")
        return path

    return make


def contents(path):
    return {f.name: f.read_text(encoding="utf-8") for f in path.iterdir() if f.is_file()}


def test_what_all_tables_have_sorted(make, capsys):
    before = {
        "wav_scp": "b x\na x\nc x\nd x\n",
        "text": "a HI\n\nb\nc \u65e5\u3000\u672c\nz Z\na HI\n",
        "utt2spk": "a s2\nb s1\nc s2\nd\n",
        "spk2utt": "wrong wrong\n",
        "spk2gender": "s2 f\ns1 m\ns3 f\n",
        "feats_scp": "a f\nb f\nc f\nd f\n",
    }
    path = make(**before)
    main([str(path)])
    said = capsys.readouterr().out
    assert contents(path) == {
        "wav.scp": "a x\nb x\nc x\n",
        "text": "a HI\nb\nc \u65e5\u3000\u672c\n",
        "utt2spk": "a s2\nb s1\nc s2\n",
        "spk2utt": "s1 b\ns2 a c\n",
        "spk2gender": "s1 m\ns2 f\n",
        "feats.scp": "a f\nb f\nc f\n",
    }
    assert contents(path / ".backup") == {k.replace("_", "."): v for k, v in before.items()}
    for line in (
        "wav.scp: 1 dropped: not in all tables (d)",
        "text: 1 dropped: not in all tables (z)",
        "utt2spk: 1 dropped: nothing after the id (d)",
        "spk2gender: 1 dropped: no utterances (s3)",
        "spk2utt: rewritten",
    ):
        assert f"{path}: {line}" in said
    main([str(path)])
    assert capsys.readouterr().out == f"{path}: nothing to fix\n"
    validate_data_dir(path)


def test_of_two_lines_the_first_is_kept_and_said(make):
    path = make(wav_scp="a x\n", text="a ONE\na TWO\n")
    assert "text: 1 have several lines; the first is kept (a)" in fix_data_dir(path)
    assert contents(path)["text"] == "a ONE\n"


def test_segments_name_recordings(make):
    path = make(
        wav_scp="r3 x\nr1 x\nr2 x\n",
        segments="u2 r2 0 1\nu1 r1 0 1\nu9 r9 0 1\n",
        text="u1 A\nu2 B\nu9 C\n",
        utt2spk="u1 s\nu2 s\nu9 s\n",
    )
    fix_data_dir(path)
    assert contents(path) == {
        "wav.scp": "r1 x\nr2 x\n",
        "segments": "u1 r1 0 1\nu2 r2 0 1\n",
        "text": "u1 A\nu2 B\n",
        "utt2spk": "u1 s\nu2 s\n",
        "spk2utt": "s u1 u2\n",
    }


def test_tables_of_lengths_drop_no_speech(make):
    path = make(wav_scp="b x\na x\n", text="b B\na A\nc C\n", utt2dur="b 1\n")
    (path / "utt2num_samples").write_text("a 1\nb 1\nc 1\n")
    done = fix_data_dir(path)
    assert contents(path) == {
        "wav.scp": "a x\nb x\n",
        "text": "a A\nb B\n",
        "utt2num_samples": "a 1\nb 1\n",
    }
    (line,) = (line for line in done if line.startswith("utt2dur: "))
    assert line == (
        "utt2dur: 1 missing, so it is removed; data validate --add_tables writes it again; "
        "the old one is in .backup/utt2dur (a)"
    )
    assert (path / ".backup/utt2dur").read_text() == "b 1\n"
    assert fix_data_dir(path) == []


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"text": "a HI\n"}, "no wav.scp in it"),
        ({"wav_scp": "a x\n", "text": "b HI\n"}, "no utterance is in all of text, wav.scp"),
        ({"wav_scp": "a x\n", "text": ""}, "the shortest is text with 0 lines"),
    ],
)
def test_nothing_is_changed_where_nothing_would_be_left(make, tables, message):
    path = make(**tables)
    before = contents(path)
    with pytest.raises(DataDirError, match=message):
        fix_data_dir(path)
    assert contents(path) == before and not (path / ".backup").exists()


def test_speaker_of_two_words(make, follow):
    path = make(wav_scp="a x\nb x\n", utt2spk="a j smith\nb s\n")
    before = contents(path)
    with pytest.raises(DataDirError, match="utterance a: speaker 'j smith' contains blanks") as e:
        fix_data_dir(path)
    assert contents(path) == before
    with pytest.raises(DataDirError, match="utterance a: speaker 'j smith' contains blanks"):
        validate_data_dir(path, need=("wav.scp",))
    follow(e.value)
    fix_data_dir(path)
    assert contents(path)["spk2utt"] == "j_smith a\ns b\n"


def test_what_is_not_text(make):
    path = make(wav_scp="a x\n")
    (path / "text").write_bytes(b"a \xff\n")
    with pytest.raises(DataDirError, match="text: not UTF-8"):
        fix_data_dir(path)


IDS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=3)


@settings(max_examples=30)
@given(data=st.data())
def test_whatever_is_wrong_the_result_is_valid(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    common = data.draw(IDS)
    kept = []
    for name in ("wav.scp", "text", "utt2spk", "utt2dur"):
        ids = [*data.draw(st.lists(IDS, max_size=3)), common]
        entries = ["x", "y" if name == "utt2spk" else "y z"]
        rows = [f"{utt} {data.draw(st.sampled_from(entries))}" for utt in ids]
        rows += data.draw(st.lists(st.sampled_from(["", " ", "\t"]), max_size=2))
        order = data.draw(st.permutations(rows))
        (path / name).write_text(
            data.draw(st.sampled_from(["\n", "\r\n"])).join([*order, ""]), newline=""
        )
        if name != "utt2dur":  # what it lacks, the audio gives
            kept.append(set(ids))
    fix_data_dir(path)
    found = validate_data_dir(path, need=("wav.scp", "text", "utt2spk"))
    assert found.ids == sorted(set.intersection(*kept))
    assert fix_data_dir(path) == []
    assert np.all([list(table) == found.ids for table in found.tables.values()])
