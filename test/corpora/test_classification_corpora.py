"""Keywords, intents and emotions."""

import json
import os
from collections import Counter

import numpy as np
import pytest

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from espnet_robust.corpora.speech_commands import part_of_speaker
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import validate_data_dir

HASHES = [f"{n:08x}" for n in range(0xA000, 0xA000 + 40)]
WORDS = {
    f"{word}/{speaker}_nohash_0.wav": None for word in ("yes", "no", "bed") for speaker in HASHES
}
NOISE = {"_background_noise_/hum.wav": {"samples": 16000 * 15}}
KEYS = ["--keywords", "yes,no"]

HEADER = ",path,speakerId,transcription,action,object,location\n"
FSC = {
    "data/train_data.csv": HEADER
    + "0,wavs/speakers/ab1/u1.wav,ab1,Turn the lights on.,activate,lights,none\n"
    + "1,wavs/speakers/ab1/u2.wav,ab1,I can't hear,increase,volume,none\n"
    + "2,wavs/speakers/ab1/u5.wav,ab1,Switch language,change language,none,none\n",
    "data/valid_data.csv": HEADER
    + "0,wavs/speakers/cd2/u3.wav,cd2,Lights on,activate,lights,none\n",
    "data/test_data.csv": HEADER + "0,wavs/speakers/ef3/u4.wav,ef3,Louder,increase,volume,none\n",
} | {
    f"wavs/speakers/{name}.wav": None for name in ("ab1/u1", "ab1/u2", "ab1/u5", "cd2/u3", "ef3/u4")
}

LABELS = ("neu", "ang", "sad", "hap", "exc", "fru", "xxx")
IEMOCAP = {}
for n in range(1, 6):
    for scene in range(1, 9):
        dialogue = f"Ses0{n}F_impro{scene:02d}"
        utts = [f"{dialogue}_{'FM'[i % 2]}{i:03d}" for i in range(len(LABELS))]
        IEMOCAP |= {
            f"Session{n}/dialog/EmoEvaluation/{dialogue}.txt": (
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
                + "".join(
                    f"[6.2901 - 8.2357]\t{utt}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
                    "C-E2:\tNeutral;\t()\n"
                    for utt, label in zip(utts, LABELS, strict=True)
                )
            ),
            f"Session{n}/dialog/transcriptions/{dialogue}.txt": "".join(
                f"{utt} [006.2901-008.2357]: Excuse me [LAUGHTER], it's {i}.\n"
                for i, utt in enumerate(utts)
            ),
        } | {f"Session{n}/sentences/wav/{dialogue}/{utt}.wav": {"samples": 160} for utt in utts[:5]}


SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
EMODB = {f"wav/{speaker}{sentence}{emotion}a.wav": None for speaker in SPEAKERS
         for sentence in ("a01", "b02") for emotion in "NTWFLEA"}  # fmt: skip

ACTORS = ("EB0", "SM0", "MP0", "MK0")
NEMO = {
    "data.tsv": "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    + "".join(
        f'{actor}_anger_{n}.wav\tanger\tCzy "to" źle?\tczy „to” źle\t        {actor}\tmale\t23\n'
        for actor in ACTORS
        for n in (1, 4, 5, 10)
    ),
} | {f"samples/{actor}_anger_{n}.wav": None for actor in ACTORS for n in (1, 4, 5, 10)}


def labels(data) -> Counter:
    return Counter(data.tables["utt2label"].values())


def test_speech_commands_by_hash(tree, prepared):
    # The first of the published validation and testing lists.
    assert part_of_speaker("026290a7") == "dev" and part_of_speaker("0c40e715") == "test"
    dirs = prepared("speech_commands", "--root", tree(WORDS | NOISE), *KEYS)
    assert sorted(dirs) == ["dev", "test", "train"]
    speakers = {}
    for part, data in dirs.items():
        validate_data_dir(data.path, audio=True)
        speakers[part] = set(data.tables["utt2spk"].values()) - {"silence"}
        assert all(part_of_speaker(speaker) == part for speaker in speakers[part])
        keywords = labels(data)["yes"] + labels(data)["no"]
        assert labels(data)["_silence_"] == round(0.1 * keywords)
        assert labels(data)["_unknown_"] == round(0.1 * keywords)
    assert set().union(*speakers.values()) == set(HASHES)
    train = dirs["train"].tables
    unknown = [utt for utt, label in train["utt2label"].items() if label == "_unknown_"]
    assert {train["text"][utt] for utt in unknown} == {"BED"}


def test_speech_commands_by_lists(tree, prepared):
    lists = {
        "validation_list.txt": f"yes/{HASHES[0]}_nohash_0.wav\nbed/{HASHES[1]}_nohash_0.wav\n",
        "testing_list.txt": f"no/{HASHES[2]}_nohash_0.wav\n",
    }
    options = [*KEYS, "--unknown_share", "9", "--silence_share", "0"]
    dirs = prepared("speech_commands", "--root", tree(WORDS | lists), *options)
    assert dirs["dev"].ids == [f"{HASHES[0]}-yes-0", f"{HASHES[1]}-bed-0"]
    assert dirs["test"].ids == [f"{HASHES[2]}-no-0"]
    assert len(dirs["train"].ids) == 117
    wrong = lists | {"testing_list.txt": "no/ffffffff_nohash_0.wav\n"}
    with pytest.raises(DataDirError, match=r"testing_list.txt: no/ffffffff_nohash_0.wav is mis"):
        prepared("speech_commands", "--root", tree(WORDS | wrong), *options)


def test_speech_commands_with_one_of_the_lists(tree, prepared):
    root = tree(WORDS | {"validation_list.txt": f"yes/{HASHES[0]}_nohash_0.wav\n"})
    with pytest.raises(UserError, match=r"testing_list.txt is missing, the other list is there"):
        prepared("speech_commands", "--root", root, *KEYS)


def test_silence_of_each_part_is_its_own_stretch(tree, prepared, tmp_path):
    root = tree(WORDS | NOISE)
    noise = read_audio(root / "_background_noise_/hum.wav")
    dirs = prepared("speech_commands", "--root", root, *KEYS, "--silence_share", "1")
    stretches = {"train": (0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1)}
    plan = (tmp_path / "data/silence_audio/plan.jsonl").read_text().splitlines()
    assert len(plan) == 80
    for item in map(json.loads, plan):
        part = item["file"].split("/")[0]
        low, high = stretches[part]
        start, end = item["start"], item["start"] + 16000
        assert low * len(noise) <= start and end <= high * len(noise)
        assert dirs[part].tables["utt2label"][item["id"]] == "_silence_"
        wav = read_audio(dirs[part].wav[item["id"]])
        assert np.allclose(wav, item["gain"] * noise[start:end], atol=1e-4)


def test_silence_is_made_again_from_other_noise(tree, prepared):
    root = tree(WORDS | NOISE)
    options = [*KEYS, "--silence_share", "1"]
    prepared("speech_commands", "--root", root, *options)
    path = root / "_background_noise_/hum.wav"
    tree(NOISE)  # the same name and length, another hum
    os.utime(path, (1, 1))
    data = prepared("speech_commands", "--root", root, *options)["train"]
    noise = read_audio(path)
    plan = (root.parent / "data/silence_audio/plan.jsonl").read_text().splitlines()
    for item in (item for item in map(json.loads, plan) if item["file"].startswith("train/")):
        start = item["start"]
        wav = read_audio(data.wav[item["id"]])
        assert np.allclose(wav, item["gain"] * noise[start : start + 16000], atol=1e-4)


def test_silence_without_background_noise_is_faint(tree, prepared):
    dirs = prepared("speech_commands", "--root", tree(WORDS), *KEYS)
    data = dirs["train"]
    silent = [utt for utt, label in data.tables["utt2label"].items() if label == "_silence_"]
    assert silent
    for utt in silent:
        assert -75 < 10 * np.log10(np.mean(read_audio(data.wav[utt]) ** 2)) < -40


def test_speech_commands_mistakes(tree, prepared):
    root = tree(WORDS)
    with pytest.raises(UserError, match="no keyword 'up' in it; there are bed, no, yes"):
        prepared("speech_commands", "--root", root)
    with pytest.raises(UserError, match="too deep"):
        prepared("speech_commands", "--root", root / "yes", *KEYS)
    with pytest.raises(UserError, match="too high"):
        prepared("speech_commands", "--root", root.parent, *KEYS)
    (root / "yes/a.wav").write_bytes((root / f"yes/{HASHES[0]}_nohash_0.wav").read_bytes())
    with pytest.raises(DataDirError, match="not named HASH_nohash_N"):
        prepared("speech_commands", "--root", root, *KEYS)


@pytest.mark.parametrize("option", ["unknown_share", "silence_share"])
@pytest.mark.parametrize("share", ["-0.5", "-1e-9", "nan", "inf"])
def test_speech_commands_shares(tree, prepared, tmp_path, option, share):
    with pytest.raises(UserError) as error:
        prepared("speech_commands", "--root", tree(WORDS), *KEYS, f"--{option}={share}")
    said = f"--{option} {float(share)}: need a number of 0 or more, such as 0.1"
    assert str(error.value) == said
    assert not (tmp_path / "data").exists()


def test_fluent_speech_commands(tree, prepared):
    dirs = prepared("fluent_speech_commands", "--root", tree(FSC))
    assert {part: d.ids for part, d in dirs.items()} == {
        "train": ["ab1-u1", "ab1-u2", "ab1-u5"],
        "dev": ["cd2-u3"],
        "test": ["ef3-u4"],
    }
    train = dirs["train"].tables
    assert train["utt2intent"]["ab1-u2"] == "increase|volume|none"
    assert train["utt2intent"]["ab1-u5"] == "change_language|none|none"
    assert train["text"]["ab1-u1"] == "TURN THE LIGHTS ON"
    assert train["text"]["ab1-u2"] == "I CAN'T HEAR"


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            {"data/test_data.csv": FSC["data/test_data.csv"].replace("increase", "sing")},
            DataDirError,
            r"u4.wav has the intent 'sing\|volume\|none', which does not occur in training",
        ),
        ({"data/valid_data.csv": "path,speaker\n"}, DataDirError, "no column 'speakerId'"),
        ({"data/valid_data.csv": HEADER + "0,a.wav,x\n"}, DataDirError, ":2: fewer columns"),
        ({"wavs/speakers/ef3/u4.wav": b""}, AudioError, r"u4.wav: empty file"),
    ],
)
def test_fluent_speech_commands_mistakes(tree, prepared, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        prepared("fluent_speech_commands", "--root", tree(FSC | change))
    assert not (tmp_path / "data").exists()


def test_iemocap_folds(tree, prepared):
    dirs = prepared("iemocap", "--root", tree(IEMOCAP), "--folds", "2,5")
    assert sorted(dirs) == sorted(f"fold{n}_{p}" for n in (2, 5) for p in ("train", "dev", "test"))
    test = dirs["fold2_test"]
    assert labels(test) == {"neu": 8, "ang": 8, "sad": 8, "hap": 16}
    assert set(test.tables["utt2spk"].values()) == {"Ses02F", "Ses02M"}
    assert test.tables["text"]["Ses02F-Ses02F_impro01_F000"] == "EXCUSE ME IT'S"
    parts = [dirs[f"fold2_{part}"] for part in ("train", "dev", "test")]
    assert sum(len(d.ids) for d in parts) == len({u for d in parts for u in d.ids}) == 200
    dialogues = [{utt.split("-")[1][:14] for utt in d.ids} for d in parts]
    assert not dialogues[0] & dialogues[1]
    assert not {u for u in parts[0].ids + parts[1].ids if u.startswith("Ses02")}


@pytest.mark.parametrize(
    "find, replace, message",
    [
        ("\tneu\t", "\tmoody\t", "has the label 'moody'"),
        ("Ses01F_impro01_F000\t", "Ses01F_impro01_F900\t", "F900 has no transcript"),
    ],
)
def test_iemocap_mistakes(tree, prepared, find, replace, message):
    name = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    root = tree(IEMOCAP | {name: IEMOCAP[name].replace(find, replace)})
    with pytest.raises(DataDirError, match=message):
        prepared("iemocap", "--root", root, "--folds", "1")
    with pytest.raises(UserError, match="too deep"):
        prepared("iemocap", "--root", root / "Session1")
    with pytest.raises(UserError, match="no fold '6'"):
        prepared("iemocap", "--root", root, "--folds", "6")


def test_emodb_folds(tree, prepared):
    dirs = prepared("emodb", "--root", tree(EMODB), "--folds", "1,5")
    assert sorted(dirs) == sorted(f"fold{n}_{p}" for n in (1, 5) for p in ("train", "dev", "test"))
    speakers = {name: set(data.tables["utt2spk"].values()) for name, data in dirs.items()}
    assert speakers["fold1_test"] == {"03", "08"} and speakers["fold1_dev"] == {"09", "10"}
    assert speakers["fold5_test"] == {"15", "16"} and speakers["fold5_dev"] == {"03", "08"}
    assert speakers["fold5_train"] == set(SPEAKERS) - {"15", "16", "03", "08"}
    assert labels(dirs["fold1_test"]) == {"neu": 4, "sad": 4, "ang": 4, "hap": 4}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wav/99a01Na.wav": None}, "99a01Na.wav: not named as EMO-DB's files are"),
        ({"wav/03a01Xa.wav": None}, "03a01Xa.wav: not named as EMO-DB's files are"),
    ],
)
def test_emodb_mistakes(tree, prepared, change, message):
    with pytest.raises(DataDirError, match=message):
        prepared("emodb", "--root", tree(EMODB | change))
    with pytest.raises(UserError, match="no fold '6'"):
        prepared("emodb", "--root", tree(EMODB, "whole"), "--folds", "6")
    some = {name: None for name in EMODB if not name.startswith("wav/16")}
    with pytest.raises(DataDirError, match="no recordings of speaker 16; is it complete"):
        prepared("emodb", "--root", tree(some, "some"))


def test_nemo_holds_out_actors_and_sentences(tree, prepared):
    dirs = prepared("nemo", "--root", tree(NEMO))
    assert {part: d.ids for part, d in dirs.items()} == {
        "train": ["EB0_anger_1", "EB0_anger_4"],
        "dev": ["SM0_anger_1", "SM0_anger_4"],
        "test": ["MK0_anger_1", "MK0_anger_4", "MP0_anger_1", "MP0_anger_4"],
        "test_unseen": ["MK0_anger_10", "MK0_anger_5", "MP0_anger_10", "MP0_anger_5"],
    }
    train = dirs["train"].tables
    assert train["text"]["EB0_anger_1"] == "czy to źle"
    assert train["utt2spk"]["EB0_anger_1"] == "EB0" and train["utt2label"]["EB0_anger_1"] == "anger"


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("file_id", "file", "no column 'file_id'"),
        ("EB0_anger_4.wav", "EB0_anger_7.wav", "data.tsv:3: there is no samples/EB0_anger_7.wav"),
        ("EB0_anger_4.wav\tanger", "EB0_anger_4.wav\tfear", "data.tsv:3: 'EB0_anger_4.wav' is not"),
    ],
)
def test_nemo_mistakes(tree, prepared, find, replace, message):
    root = tree(NEMO | {"data.tsv": NEMO["data.tsv"].replace(find, replace)})
    with pytest.raises(DataDirError, match=message):
        prepared("nemo", "--root", root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dev_speakers", "XX0"), "no speaker 'XX0' in it; there are EB0, MK0, MP0, SM0"),
        (("--dev_speakers", "MP0"), "speaker MP0 is given for two parts"),
        (("--dev_speakers", "SM0,EB0"), "no speaker is left for training"),
    ],
)
def test_nemo_speakers(tree, prepared, options, message):
    with pytest.raises(UserError, match=message):
        prepared("nemo", "--root", tree(NEMO), *options)


def test_real_emotions(shared, prepared):
    """The published files: nothing is missed, nobody is on both sides."""
    dirs = prepared("emodb", "--root", shared / "emodb", "--folds", "1")
    assert sum(len(d.ids) for d in dirs.values()) == 339
    dirs = prepared("nemo", "--root", shared / "nemo")
    assert {p: len(dirs[p].ids) for p in ("train", "dev", "test", "test_unseen")} == {
        "train": 2591, "dev": 430, "test": 565, "test_unseen": 141,
    }  # fmt: skip
    texts = {part: set(dirs[part].tables["text"].values()) for part in dirs if "fold" not in part}
    assert len(texts["train"]) == 72 and len(texts["test_unseen"]) == 18
    assert texts["test"] <= texts["train"] and not texts["test_unseen"] & texts["train"]


def test_real_speech_commands(shared, prepared):
    options = ["--keywords", "bed,cat", "--unknown_share", "0.5"]
    dirs = prepared("speech_commands", "--root", shared / "speech_commands", *options)
    assert {part: sorted(labels(d)) for part, d in dirs.items()} == {
        part: ["_silence_", "_unknown_", "bed", "cat"] for part in ("train", "dev", "test")
    }
