"""AN4, CHiME-4 and connected digits."""

import os

import numpy as np
import pytest

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from espnet_robust.corpora.chime4 import plain_words
from espnet_robust.corpora.fsdd import WORDS, plan_strings, read_takes, split_takes
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import validate_data_dir

SPEAKERS = [f"sp{n:02d}" for n in range(30)]
AN4 = (
    {f"wav/an4_clstk/{s}/an{n}-{s}-b.wav": None for n, s in enumerate(SPEAKERS)}
    | {"wav/an4test_clstk/menk/an422-menk-b.wav": None}
    | {
        "etc/an4_train.fileids": "".join(
            f"an4_clstk/{s}/an{n}-{s}-b\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_train.transcription": "".join(
            f"<s> GO FORWARD {WORDS[n % 10]} </s> (an{n}-{s}-b)\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_test.fileids": "an4test_clstk/menk/an422-menk-b\n",
        "etc/an4_test.transcription": "YES (an422-menk-b)\n",
    }
)

AUDIO = "data/audio/16kHz"
CHIME4 = {
    f"{AUDIO}/isolated/tr05_bus_real/F01_050C0101_BUS.CH1.wav": None,
    f"{AUDIO}/isolated/tr05_bus_real/F01_050C0101_BUS.CH5.wav": {"samples": 3200},
    f"{AUDIO}/isolated/tr05_bus_real/F01_050C0101_BUS.CH0.wav": None,
    "data/transcriptions/tr05_real.dot_all": "WE GO (F01_050C0101_BUS)\n",
} | {
    name: content
    for part in ("dt05", "et05")
    for arm in ("real", "simu")
    for name, content in {
        f"{AUDIO}/isolated_1ch_track/{part}_caf_{arm}/M03_421C0202_CAF.wav": None,
        f"{AUDIO}/isolated_1ch_track/{part}_str_{arm}/M03_421C0203_STR.wav": None,
        f"data/transcriptions/{part}_{arm}.dot_all": (
            "THE *BANK'S* [TAP] STOCK\\. (M03_421C0202_CAF)\nIT FELL . (M03_421C0203_STR)\n"
        ),
    }.items()
}

FSDD = {
    f"recordings/{digit}_{speaker}_{take}.wav": {"rate": 8000, "samples": 800 + 80 * digit}
    for digit in range(10)
    for speaker in ("anna", "bert", "carl", "dora")
    for take in range(2)
}
FSDD_OPTIONS = ["--nj", "1", "--dev_speakers", "carl", "--test_speakers", "dora"]
FSDD_FEW = ["--train_strings", "8", "--dev_strings", "3", "--test_strings", "3"]


def test_an4(tree, prepared):
    dirs = prepared("an4", "--root", tree(AN4))
    speakers = {part: set(d.tables["utt2spk"].values()) for part, d in dirs.items()}
    assert speakers["test"] == {"menk"} and speakers["dev"]
    assert not speakers["train"] & speakers["dev"]
    assert speakers["train"] | speakers["dev"] == set(SPEAKERS)
    assert dict(dirs["test"].tables["text"]) == {"menk-an422-b": "YES"}
    text = dict(dirs["train"].tables["text"]) | dict(dirs["dev"].tables["text"])
    assert text["sp13-an13-b"] == "GO FORWARD THREE"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"etc/an4_test.transcription": "YES (an1-menk-b)\n"}, "no transcript of an422-menk-b"),
        ({"etc/an4_test.transcription": "(an422-menk-b)\n"}, r"not 'WORDS \(ID\)'"),
        ({"etc/an4_test.fileids": ""}, "an422-menk-b has a transcript but is not listed"),
        ({"etc/an4_test.fileids": "an4test_clstk/menk/an9-menk-b\n"}, "no transcript of an9"),
    ],
)
def test_an4_mistakes(tree, prepared, tmp_path, change, message):
    with pytest.raises(DataDirError, match=message):
        prepared("an4", "--root", tree(AN4 | change))
    assert not (tmp_path / "data").exists()


def test_an4_without_audio(tree, prepared):
    root = tree(AN4)
    wav = root / "wav/an4test_clstk/menk/an422-menk-b.wav"
    wav.rename(wav.with_suffix(".raw"))
    with pytest.raises(DataDirError, match=r"no header; use the archive an4_sphere"):
        prepared("an4", "--root", root)
    wav.with_suffix(".raw").unlink()
    with pytest.raises(DataDirError, match=r"an422-menk-b.sph: no audio for its transcript"):
        prepared("an4", "--root", root)


def test_chime4(tree, prepared):
    dirs = prepared("chime4", "--root", tree(CHIME4))
    assert sorted(dirs) == ["dt05_real", "dt05_simu", "et05_real", "et05_simu", "tr05_real"]
    train = dirs["tr05_real"]
    assert train.ids == ["F01_050C0101_BUS_REAL"]
    assert train.tables["utt2num_samples"]["F01_050C0101_BUS_REAL"] == "3200"
    test = dirs["et05_simu"].tables
    assert test["text"] == {
        "M03_421C0202_CAF_SIMU": "THE *BANK'S* STOCK.",
        "M03_421C0203_STR_SIMU": "IT FELL",
    }
    assert test["utt2group"]["M03_421C0203_STR_SIMU"] == "str"
    assert set(test["utt2spk"].values()) == {"M03"}


@pytest.mark.parametrize(
    "dot, plain",
    [
        (r"MR\. SMITH SAID <NOISE> [LOUD_BREATH] FIVE %PERCENT", "MR. SMITH SAID FIVE PERCENT"),
        ("~ 'CAUSE THE *BIRD* . ISN'T --DASH LONG-TERM", "'CAUSE THE *BIRD* ISN'T -DASH LONG-TERM"),
        ("THIS- THIS IS IT", "THIS- THIS IS IT"),
        ("the offer <and> the bid <isn't>", "THE OFFER AND THE BID ISN'T"),
        ("up two .POINT five %PERCENT 5%percent", "UP TWO POINT FIVE PERCENT 5%PERCENT"),
        ("the -(su)bstance of s:lightly :more", "THE -(SU)BSTANCE OF S:LIGHTLY :MORE"),
        ("[<door_slam] went [door_slam>] [phone/] out [/phone]", "WENT OUT"),
    ],
)  # fmt: skip
def test_chime4_plain_words(dot, plain):
    assert plain_words(dot) == plain


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({}, ["--sets", "dt05_real,tr05_simu"], "no set 'tr05_simu'"),
        ({}, ["--channel", "2"], "no audio of tr05_real"),
        (
            {f"{AUDIO}/isolated_1ch_track/dt05_bus_real/F01_050C0109_BUS.wav": None},
            [],
            "F01_050C0109_BUS.wav: no transcript",
        ),
        (
            {"data/transcriptions/dt05_real.dot_all": "NO (F09_050C0109_BUS)\n"},
            [],
            "no audio F09_050C0109_BUS.wav",
        ),
    ],
)
def test_chime4_mistakes(tree, prepared, tmp_path, change, options, message):
    with pytest.raises(UserError, match=message):
        prepared("chime4", "--root", tree(CHIME4 | change), *options)
    assert not (tmp_path / "data").exists()


def test_connected_digits(tree, prepared):
    root = tree(FSDD)
    dirs = prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW)
    assert {part: len(d.ids) for part, d in dirs.items()} == {"train": 16, "dev": 3, "test": 3}
    for part, speakers in {"train": {"anna", "bert"}, "dev": {"carl"}, "test": {"dora"}}.items():
        data = validate_data_dir(dirs[part].path, audio=True)
        assert set(data.tables["utt2spk"].values()) == speakers
        for utt, text in data.tables["text"].items():
            digits = [WORDS.index(word) for word in text.split()]
            assert 3 <= len(digits) <= 7
            # Takes at 16 kHz, and a pause before, between and after them.
            spoken = sum(2 * (800 + 80 * digit) for digit in digits)
            pauses = int(data.tables["utt2num_samples"][utt]) - spoken
            assert 0.05 <= pauses / RATE / (len(digits) + 1) <= 0.35
            wav = read_audio(data.wav[utt])
            assert 0 < np.abs(wav[: RATE // 50]).max() < 0.01
    first = {f.name: f.read_bytes() for f in (root.parent / "data").rglob("*.flac")}
    prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW, "--seed", "1")
    assert first != {f.name: f.read_bytes() for f in (root.parent / "data").rglob("*.flac")}
    prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW)
    assert first == {f.name: f.read_bytes() for f in (root.parent / "data").rglob("*.flac")}


def test_a_part_that_is_no_longer_asked_for_goes_with_its_audio(tree, prepared, capsys):
    root = tree(FSDD)
    before = prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW)
    fewer = (*FSDD_FEW, "--dev_strings", "0")
    after = prepared("fsdd", "--root", root, *FSDD_OPTIONS, *fewer)
    assert set(before) == {"train", "dev", "test"} and set(after) == {"train", "test"}
    assert not before["dev"].path.exists()
    assert "data/dev: removed: this corpus was asked for without it" in capsys.readouterr().err
    for data in after.values():
        validate_data_dir(data.path, audio=True)
    # A data dir of that name that was made of something else stays.
    prepared("audio_folder", "--root", root, "--name", "dev")
    assert set(prepared("fsdd", "--root", root, *FSDD_OPTIONS, *fewer)) == {"train", "dev", "test"}


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_negative_numbers_of_strings(tree, prepared, capsys, part):
    with pytest.raises(SystemExit):
        prepared("fsdd", "--root", tree(FSDD), *FSDD_OPTIONS, f"--{part}_strings", "-1")
    said = capsys.readouterr().err
    assert f"--{part}_strings: invalid number of 0 or more value: '-1'" in said


def test_dev_strings_of_the_training_speakers(tree, prepared):
    takes = range(3, 8)
    root = tree(
        {
            f"recordings/{d}_{s}_{t}.wav": {"rate": 8000, "samples": 1000 + 10 * t}
            for d in range(10)
            for s in ("anna", "bert", "carl")
            for t in takes
        }
    )
    dirs = prepared("fsdd", "--root", root, "--nj", "1", "--test_speakers", "carl", *FSDD_FEW)
    speakers = {part: set(d.tables["utt2spk"].values()) for part, d in dirs.items()}
    assert speakers == {"train": {"anna", "bert"}, "dev": {"anna", "bert"}, "test": {"carl"}}
    assert {part: len(d.ids) for part, d in dirs.items()} == {"train": 16, "dev": 6, "test": 3}
    assert not set(dirs["train"].ids) & set(dirs["dev"].ids)
    parts = split_takes(root, (), ("carl",))
    numbers = {part: {t.stem[-1] for own in s.values() for t in own} for part, s in parts.items()}
    assert numbers == {"train": set("567"), "dev": set("34"), "test": set("34567")}


def test_digits_with_other_audio_are_made_again(tree, prepared):
    def strings() -> dict[str, bytes]:
        prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW)
        return {f.name: f.read_bytes() for f in (root.parent / "data").rglob("*.flac")}

    root = tree(FSDD)
    first = strings()
    tree(dict(reversed(FSDD.items())))  # the same names and lengths
    for path in root.rglob("*.wav"):
        os.utime(path, (1, 1))
    second = strings()
    assert all(second[name] != first[name] for name in first)
    tree(FSDD)
    assert strings() == first


def test_digits_have_the_same_plan_whatever_the_times_of_their_files(tree, prepared):
    root = tree(FSDD)
    plans = []
    for _ in range(2):
        prepared("fsdd", "--root", root, *FSDD_OPTIONS, *FSDD_FEW)
        plans.append((root.parent / "data/fsdd_audio/plan.jsonl").read_bytes())
        for path in root.rglob("*.wav"):
            os.utime(path, (1, 1))
    assert plans[0] == plans[1]


def test_digits_are_used_evenly(tree, prepared):
    takes = read_takes(tree(FSDD) / "recordings")["anna"]
    used = [take for item in plan_strings(takes, "train", "anna", 0, 40) for take in item["takes"]]
    counts = {take: used.count(take) for take in used}
    assert len(counts) == 20 and max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.parametrize(
    "options, message",
    [
        (["--test_speakers", "eve"], "no speaker 'eve' in it; there are anna, bert, carl, dora"),
        (["--dev_speakers", "dora", "--test_speakers", "dora"], "dora is given for two parts"),
        (["--dev_speakers", "anna,bert", "--test_speakers", "carl,dora"], "no speaker is left"),
        (["--dev_speakers", ""], "anna has 20 takes numbered 0 to 4, for dev, and 0 others"),
    ],
)
def test_connected_digits_mistakes(tree, prepared, options, message):
    with pytest.raises(UserError, match=message):
        prepared("fsdd", "--root", tree(FSDD), *FSDD_OPTIONS, *options)


def test_connected_digits_bad_files(tree, prepared):
    with pytest.raises(DataDirError, match="not named DIGIT_SPEAKER_INDEX"):
        prepared("fsdd", "--root", tree(FSDD | {"recordings/x_anna_0.wav": None}), *FSDD_OPTIONS)
    root = tree(FSDD | {f"recordings/{d}_anna_0.wav": b"" for d in range(10)}, root="broken")
    with pytest.raises(AudioError, match=r"_anna_0.wav: empty file"):
        prepared("fsdd", "--root", root, *FSDD_OPTIONS)
    with pytest.raises(UserError, match="too deep"):
        prepared("fsdd", "--root", root / "recordings", *FSDD_OPTIONS)


def test_real_digits(shared, prepared):
    options = ["--nj", "1", "--train_strings", "2", "--dev_strings", "1", "--test_strings", "2"]
    dirs = prepared("fsdd", "--root", shared / "free-spoken-digit-dataset", *options)
    assert {part: len(d.ids) for part, d in dirs.items()} == {"train": 8, "dev": 4, "test": 4}
