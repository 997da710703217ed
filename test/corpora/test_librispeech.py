import pytest

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from espnet_robust.data.data_dir import validate_data_dir

FILES = {
    "dev-clean/84/121123/84-121123-0000.flac": None,
    "dev-clean/84/121123/84-121123-0001.flac": {"samples": 3200},
    "dev-clean/84/121123/84-121123.trans.txt": "84-121123-0000 GO\n84-121123-0001 DO YOU HEAR\n",
    "dev-clean/8/9/8-9-0000.flac": None,
    "dev-clean/8/9/8-9.trans.txt": "8-9-0000 YES\n",
    "test-other/367/130732/367-130732-0000.flac": None,
    "test-other/367/130732/367-130732.trans.txt": "367-130732-0000 LOBSTERS\n",
    "SPEAKERS.TXT": ";ID\n",
}


def test_sets(tree, prepared):
    dirs = prepared("librispeech", "--root", tree(FILES), "--sets", "dev-clean,test-other")
    assert sorted(dirs) == ["dev-clean", "test-other"]
    dev = validate_data_dir(dirs["dev-clean"].path, audio=True).tables
    assert dev["text"] == {
        "8-9-0000": "YES",
        "84-121123-0000": "GO",
        "84-121123-0001": "DO YOU HEAR",
    }
    assert dev["utt2spk"]["84-121123-0001"] == "84"
    assert dev["utt2num_samples"]["84-121123-0001"] == "3200"
    assert float(dev["utt2dur"]["84-121123-0001"]) == 0.2


@pytest.mark.parametrize(
    "below, message",
    [
        ("dev-clean", "too deep.*--root .*corpus$"),
        ("..", "too high.*--root .*corpus$"),
        ("dev-clean/84/121123", "is not LibriSpeech"),
        ("nowhere", "no such directory"),
    ],
)
def test_root_one_level_off(tree, prepared, below, message):
    root = tree(FILES) / below
    with pytest.raises(UserError, match=message):
        prepared("librispeech", "--root", root, "--sets", "dev-clean")


def test_unknown_set_writes_nothing(tree, prepared, tmp_path):
    with pytest.raises(UserError, match=r"no set 'dev-other'.*dev-clean, test-other"):
        prepared("librispeech", "--root", tree(FILES), "--sets", "dev-clean,dev-other")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dev-clean/8/9/8-9-0001.flac": None}, "8-9-0001.flac: no transcript in 8-9.trans.txt"),
        ({"dev-clean/8/10/8-10-0000.flac": None}, "no transcript in 8-10.trans.txt"),
        ({"dev-clean/8/9/8-9.trans.txt": "8-9-0000 A\n8-9-0007 B\n"}, "no audio 8-9-0007.flac"),
        ({"dev-clean/8/9/8-9.trans.txt": "8-9-0000\n"}, "8-9.trans.txt: no words after '8-9-0000'"),
    ],
)
def test_transcripts_and_audio_must_match(tree, prepared, tmp_path, change, message):
    with pytest.raises(DataDirError, match=message):
        prepared("librispeech", "--root", tree(FILES | change), "--sets", "dev-clean")
    assert not (tmp_path / "data/dev-clean").exists()


@pytest.mark.parametrize("content", [b"", b"not audio", {"samples": 0}])
def test_bad_audio(tree, prepared, capsys, content):
    name = "dev-clean/84/121123/84-121123-0000.flac"
    command = ["librispeech", "--root", tree(FILES | {name: content}), "--sets", "dev-clean"]
    with pytest.raises(AudioError, match=r"84-121123-0000.flac.*--skip_bad"):
        prepared(*command)
    dirs = prepared(*command, "--skip_bad")
    assert dirs["dev-clean"].ids == ["8-9-0000", "84-121123-0001"]
    assert "1 of 3 files skipped" in capsys.readouterr().err


def test_real_mini_sets(shared, prepared):
    sets = {"train-mini": 682, "dev-mini": 84, "test-mini": 151, "test-other-mini": 100}
    dirs = prepared("librispeech", "--root", shared / "LibriSpeech", "--sets", ",".join(sets))
    assert {name: len(data.ids) for name, data in dirs.items()} == sets
    speakers = [set(data.tables["utt2spk"].values()) for data in dirs.values()]
    assert len(set().union(*speakers)) == sum(map(len, speakers)) == 50
