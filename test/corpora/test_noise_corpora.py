import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from espnet_robust.data.audio import read_audio

ESC_HEADER = "filename,fold,target,category,esc10,src_file,take\n"
ESC = {
    f"audio/{fold}-1000{fold}-A-{target}.wav": {"rate": 44100, "samples": 4410}
    for fold in range(1, 6)
    for target in (0, 1)
} | {
    "meta/esc50.csv": ESC_HEADER
    + "".join(
        f"{fold}-1000{fold}-A-{target}.wav,{fold},{target},{name},{esc10},1000{fold},A\n"
        for fold in range(1, 6)
        for target, name, esc10 in ((0, "dog", "True"), (1, "rooster", "False"))
    )
}
ESC_FOLDS = {
    f"fold{fold}/{name}/{fold}-10{fold}-A.flac": None
    for fold in range(1, 6)
    for name in ("rain", "dog_bark")
}
FSD = {
    "FSD50K.dev_audio/64760.wav": {"rate": 44100},
    "FSD50K.dev_audio/16399.wav": {"rate": 44100},
    "FSD50K.eval_audio/37199.wav": {"rate": 44100},
    "FSD50K.ground_truth/dev.csv": (
        "fname,labels,mids,split\n"
        '64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train\n'
        '16399,"Speech,Human_voice","/m/09x0r,/m/09l8g",val\n'
    ),
    "FSD50K.ground_truth/eval.csv": 'fname,labels,mids\n37199,"Rain,Water","/m/06mb1,/m/0838f"\n',
}
MUSAN = (
    {f"noise/free-sound/noise-free-sound-{n:04d}.wav": None for n in range(40)}
    | {f"music/fma/music-fma-{n:04d}.wav": None for n in range(20)}
    | {f"speech/us-gov/speech-us-gov-{n:04d}.wav": None for n in range(20)}
    | {"noise/free-sound/ANNOTATIONS": "noise-free-sound-0000\n", "README": "MUSAN\n"}
)
WHAM = {
    f"{part}/01dc0215_{n}_02eo0305_-0.5.wav": {"channels": 2}
    for part in ("tr", "cv", "tt")
    for n in range(2)
}
WHAM_META = {
    f"metadata/noise_meta_{part}.csv": "utterance_id,Noise Band,File ID,Location ID\n"
    + "".join(f"01dc0215_{n}_02eo0305_-0.5.wav,1,F{n},{n}\n" for n in range(2))
    for part in ("tr", "cv", "tt")
}


def groups(data) -> set[str]:
    return set(data.tables["utt2group"].values())


def test_esc50_as_published(tree, prepared):
    dirs = prepared("esc50", "--root", tree(ESC))
    assert {name: len(d.ids) for name, d in dirs.items()} == {
        "noise_train": 6,
        "noise_dev": 2,
        "noise_test": 2,
    }
    assert groups(dirs["noise_dev"]) == {"dog", "rooster"}
    # Counted at 16 kHz, whatever the rate of the file.
    assert set(dirs["noise_dev"].tables["utt2num_samples"].values()) == {"1600"}


def test_esc10_of_esc50_with_other_folds(tree, prepared):
    options = ["--esc10", "--train_folds", "2", "--dev_folds", "", "--test_folds", "1,5"]
    dirs = prepared("esc50", "--root", tree(ESC), "--name", "esc", *options)
    assert {name: d.ids for name, d in dirs.items()} == {
        "esc_train": ["2-10002-A-0"],
        "esc_test": ["1-10001-A-0", "5-10005-A-0"],
    }


def test_esc_in_fold_directories(tree, prepared):
    dirs = prepared("esc50", "--root", tree(ESC_FOLDS))
    assert dirs["noise_test"].ids == ["dog_bark-5-105-A", "rain-5-105-A"]
    assert groups(dirs["noise_test"]) == {"dog_bark", "rain"}
    assert len(dirs["noise_train"].ids) == 6


def test_esc10_in_fold_directories(tree, prepared):
    """By either name of a class; names of directories may have blanks or capitals."""
    ten = {
        "dog", "rain", "sea_waves", "crying_baby", "clock_tick", "sneezing", "helicopter",
        "chainsaw", "rooster", "crackling_fire", "dog_bark", "baby_cry", "person_sneeze",
        "fire_crackling", "Sea waves",
    }  # fmt: skip
    names = [*sorted(ten), "clock_alarm", "train", "pig", "raindrops"]
    root = tree({f"fold{n}/{name}/{n}-1-A.wav": None for n in range(1, 6) for name in names})
    for data in prepared("esc50", "--root", root, "--esc10").values():
        assert groups(data) == ten
    assert groups(prepared("esc50", "--root", root)["noise_test"]) == set(names)


def test_fold_directories_without_a_class_of_esc10(tree, prepared, tmp_path):
    root = tree({f"fold{n}/pig/{n}-1-A.wav": None for n in range(1, 6)})
    with pytest.raises(UserError, match="fold1: no directory of a class of ESC-10 in it"):
        prepared("esc50", "--root", root, "--esc10")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--train_folds", "1,5"], "fold 5 is in both train and test"),
        (["--train_folds", "1,7"], "no fold 7 in it; there are 1, 2, 3, 4, 5"),
    ],
)
@pytest.mark.parametrize("files", [ESC, ESC_FOLDS])
def test_esc_folds_must_make_sense(tree, prepared, files, options, message):
    with pytest.raises(UserError, match=message):
        prepared("esc50", "--root", tree(files), *options)


def test_esc_clip_missing(tree, prepared, tmp_path):
    root = tree(ESC)
    (root / "audio/4-10004-A-1.wav").unlink()
    with pytest.raises(AudioError, match=r"4-10004-A-1.wav: no such file"):
        prepared("esc50", "--root", root)
    assert not (tmp_path / "data").exists()


def test_fsd50k_keeps_its_parts(tree, prepared):
    root = tree(FSD)
    dirs = prepared("fsd50k", "--root", root)
    assert {name: d.ids for name, d in dirs.items()} == {
        "fsd50k_train": ["64760"],
        "fsd50k_dev": ["16399"],
        "fsd50k_test": ["37199"],
    }
    assert groups(dirs["fsd50k_train"]) == {"Electric_guitar"}
    dirs = prepared("fsd50k", "--root", root, "--no_voice", "--name", "mute")
    assert sorted(name for name in dirs if "mute" in name) == ["mute_test", "mute_train"]


@pytest.mark.parametrize("half", ["dev", "eval"])
def test_fsd50k_without_a_table(tree, prepared, tmp_path, half):
    root = tree(FSD)
    (root / f"FSD50K.ground_truth/{half}.csv").unlink()
    with pytest.raises(UserError, match=rf"is not FSD50K: no FSD50K.ground_truth/{half}.csv in it"):
        prepared("fsd50k", "--root", root)
    assert not (tmp_path / "data").exists()


def test_musan_parts_share_nothing(tree, prepared):
    root = tree(MUSAN)
    dirs = prepared("musan", "--root", root, "--dev_share", "0.2", "--test_share", "0.3")
    ids = {name: set(d.ids) for name, d in dirs.items()}
    assert sum(map(len, ids.values())) == len(set().union(*ids.values())) == 80
    assert 12 <= len(ids["musan_test"]) <= 36 and 6 <= len(ids["musan_dev"]) <= 28
    assert groups(dirs["musan_train"]) == {"music", "noise", "speech"}
    # The part of a recording does not depend on what else is there.
    again = prepared(
        "musan", "--root", root, "--kinds", "noise", "--name", "few",
        "--dev_share", "0.2", "--test_share", "0.3",
    )  # fmt: skip
    assert set(again["few_test"].ids) == {i for i in ids["musan_test"] if i.startswith("noise")}
    with pytest.raises(UserError, match="no 'babble'; it has music, noise, speech"):
        prepared("musan", "--root", root, "--kinds", "babble")


@pytest.mark.parametrize("metadata", [{}, WHAM_META])
def test_wham_first_channel(tree, prepared, metadata):
    root = tree(WHAM | metadata, root="wham_noise")
    dirs = prepared("wham_noise", "--root", root)
    assert {name: len(d.ids) for name, d in dirs.items()} == {
        "wham_train": 2,
        "wham_dev": 2,
        "wham_test": 2,
    }
    train = dirs["wham_train"]
    assert ("utt2group" in train.tables) == bool(metadata)
    utt = train.ids[0]
    stereo, _ = soundfile.read(root / f"tr/{utt}.wav")
    assert np.allclose(read_audio(train.wav[utt]), stereo[:, 0], atol=1e-4)


def test_dns_noise(tree, prepared):
    files = {f"noise_fullband/fan {n}.wav": {"rate": 48000} for n in range(30)}
    dirs = prepared("dns_noise", "--root", tree(files))
    ids = [utt for d in dirs.values() for utt in d.ids]
    assert len(set(ids)) == len(ids) == 30 and "fan_7" in ids
    assert len(dirs["dns_noise_train"].ids) > 20


def test_audio_folder_groups(tree, prepared):
    root = tree({"home/dogs/bark 1.wav": None, "home/rain.flac": None, "street/cars.ogg": None})
    by = {
        how: prepared("audio_folder", "--root", root, "--name", how, "--group_by", how)[how]
        for how in ("parent", "top", "none")
    }
    assert by["none"].ids == ["home-dogs-bark_1", "home-rain", "street-cars"]
    assert list(by["parent"].tables["utt2group"].values()) == ["dogs", "home", "street"]
    assert list(by["top"].tables["utt2group"].values()) == ["home", "home", "street"]
    assert "utt2group" not in by["none"].tables


def test_audio_folder_mistakes(tree, prepared):
    root = tree({"a.wav": None, "a.flac": None, "notes.txt": "no audio"})
    with pytest.raises(DataDirError, match=r"a.flac and .*a.wav share the id a"):
        prepared("audio_folder", "--root", root, "--name", "x")
    with pytest.raises(UserError, match="--group_by fails"):
        prepared("audio_folder", "--root", root, "--name", "x", "--group_by", "parent")
    with pytest.raises(UserError, match="no audio files in it"):
        prepared("audio_folder", "--root", tree({"b.txt": ""}, root="empty"), "--name", "x")


def test_copy_makes_16_khz_flac(tree, prepared, tmp_path):
    root = tree({"a.wav": {"rate": 48000, "channels": 2, "samples": 4800}})
    data = prepared("audio_folder", "--root", root, "--name", "x", "--copy")["x"]
    info = soundfile.info(data.wav["a"])
    assert (info.samplerate, info.channels, info.frames, info.format) == (16000, 1, 1600, "FLAC")
    (tmp_path / "corpus/a.wav").unlink()
    assert len(read_audio(data.wav["a"])) == 1600


@pytest.mark.parametrize(
    "corpus, files",
    [("musan", MUSAN), ("wham_noise", WHAM), ("fsd50k", FSD), ("esc50", ESC)],
)
def test_roots_a_level_off(tree, prepared, corpus, files):
    root = tree(files)
    inside = next(p for p in sorted(root.iterdir()) if p.is_dir())
    with pytest.raises(UserError, match=f"too deep: .*--root {root}$"):
        prepared(corpus, "--root", inside)
    with pytest.raises(UserError, match=f"too high: .*--root {root}$"):
        prepared(corpus, "--root", root.parent)


def test_real_noise(shared, prepared):
    dirs = prepared("esc50", "--root", shared / "noise/esc10")
    assert {name: len(d.ids) for name, d in dirs.items()} == {
        "noise_train": 150,
        "noise_dev": 50,
        "noise_test": 50,
    }
    assert len(groups(dirs["noise_train"])) == 10
    root = shared / "noise/outdoor_indoor"
    assert len(prepared("audio_folder", "--root", root, "--name", "ood")["ood"].ids) == 10


@pytest.mark.parametrize("name", ["../../secret", "/etc/secret", "a/../../secret", "sub/clip"])
def test_fsd50k_names_stay_inside(tree, prepared, tmp_path, name):
    table = f'fname,labels,mids\n{name},"Rain","/m/06mb1"\n'
    root = tree(FSD | {"FSD50K.ground_truth/eval.csv": table})
    with pytest.raises(DataDirError, match="is not within|cannot be a file name"):
        prepared("fsd50k", "--root", root, "--copy")
    assert not list(tmp_path.glob("**/*.flac"))
