"""Finding audio, splitting it; extracted audio: what is kept and what is made again."""

import io
import os

import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError, UserError
from espnet_robust.corpora import layout
from espnet_robust.data.audio import read_audio

OLD = 1_000_000_000  # s: archives, cp -p and rsync keep the times of files


def stereo(path, level: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((1600, 2), level), 16000)
    os.utime(path, (OLD, OLD))


@pytest.fixture
def level(prepared):
    """level(root) -> the level of ROOT/street.wav, as the data dir has it."""

    def of(root) -> float:
        data = prepared("audio_folder", "--root", root, "--name", "noise_train")["noise_train"]
        return round(float(read_audio(data.wav["street"]).mean()), 2)

    return of


def test_audio_of_another_root_replaces_that_of_the_first(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    assert level(tmp_path / "A") == 0.1
    assert level(tmp_path / "B") == 0.5
    assert level(tmp_path / "A") == 0.1


def test_a_replaced_file_is_extracted_again_however_old(tmp_path, level):
    source = tmp_path / "A/street.wav"
    stereo(source, 0.1)
    assert level(tmp_path / "A") == 0.1
    stereo(source, 0.5)
    os.utime(source, (OLD - 1, OLD - 1))
    assert level(tmp_path / "A") == 0.5


def test_audio_that_is_current_is_kept(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    assert level(tmp_path / "A") == 0.1
    flac = tmp_path / "data/noise_train_audio/street.flac"
    before = flac.stat()
    assert level(tmp_path / "A") == 0.1
    assert flac.stat().st_ino == before.st_ino and flac.stat().st_mtime_ns == before.st_mtime_ns


def test_audio_without_a_record_is_extracted_again(tmp_path, level):
    """As earlier versions, or a run killed between the two, leave it."""
    stereo(tmp_path / "A/street.wav", 0.1)
    level(tmp_path / "A")
    audio = tmp_path / "data/noise_train_audio"
    for damage in (lambda f: f.write_bytes(f.read_bytes()[:9]), lambda f: f.unlink()):
        soundfile.write(audio / "street.flac", np.full(1600, 0.3), 16000)
        damage(audio / ".street.src")
        assert level(tmp_path / "A") == 0.1


def test_interrupted_extraction_leaves_no_record_of_other_audio(tmp_path, level, monkeypatch):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    level(tmp_path / "A")
    write = layout.write_audio

    def killed(*args, **options):
        write(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(layout, "write_audio", killed)
        level(tmp_path / "B")
    assert level(tmp_path / "A") == 0.1


def test_broken_source_leaves_the_audio_as_it_was(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    level(tmp_path / "A")
    whole = (tmp_path / "B/street.wav").read_bytes()
    (tmp_path / "B/street.wav").write_bytes(whole[:2000])
    with pytest.raises(AudioError):
        level(tmp_path / "B")
    flac = tmp_path / "data/noise_train_audio/street.flac"
    before = flac.stat().st_mtime_ns
    assert level(tmp_path / "A") == 0.1
    assert flac.stat().st_mtime_ns == before


def halved(wav) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, wav, 16000, format="FLAC")
    return data.getvalue()[: len(data.getvalue()) // 2]


def floats(wav) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, wav, 16000, format="WAV", subtype="FLOAT")
    return data.getvalue()


LOUD = np.random.default_rng(0).uniform(-0.5, 0.5, (9000, 2))
SECOND_ONLY = LOUD * [0, 1]  # the first channel is extracted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.flac", halved(LOUD[:, 0]), "damaged or truncated"),
        ("bad.flac", halved(LOUD), "damaged or truncated"),
        ("bad.wav", floats(np.where(LOUD[:, 0] > 0.49, np.nan, LOUD[:, 0])), "NaN or infinite"),
        ("bad.wav", floats(np.where(LOUD > 0.49, np.inf, LOUD)), "NaN or infinite"),
        ("bad.wav", floats(np.zeros(9000)), "silent from start to end; remove the file"),
        ("bad.wav", floats(SECOND_ONLY), "silent from start to end; remove the file"),
    ],
    ids=["half", "half stereo", "NaN", "inf stereo", "silent", "silent first channel"],
)
@pytest.mark.parametrize("corpus", ["audio_folder", "rir_folder"])
def test_files_that_cannot_be_used(tree, prepared, capsys, corpus, name, content, message):
    """They would stop the training that draws them, hours later."""
    root = tree({"hall/a.wav": None, f"cell/{name}": content, "attic/c.flac": None})
    options = [corpus, "--root", root, "--name", "x"]
    for more in ([], ["--copy"], ["--split"]):
        with pytest.raises(AudioError, match=message) as error:
            prepared(*options, *more)
        assert "bad" in str(error.value) and "--skip_bad skips" in str(error.value)
        assert "\n" not in str(error.value)
        assert not list((root.parent / "data").glob("*/wav.scp"))
    assert prepared(*options, "--skip_bad")["x"].ids == ["attic-c", "hall-a"]
    assert "1 of 3 files skipped" in capsys.readouterr().err


def test_extracted_audio_that_was_damaged_since_is_extracted_again(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    level(tmp_path / "A")
    flac = tmp_path / "data/noise_train_audio/street.flac"
    for damaged in (flac.read_bytes()[:-4], b""):
        flac.write_bytes(damaged)
        assert level(tmp_path / "A") == 0.1


def test_linked_directories_are_searched_each_directory_once(tree):
    elsewhere = tree({"c.wav": None, "deep/d.wav": None, ".hid/e.wav": None}, root="disk/noise")
    root = tree({"b.wav": None, "own/a.wav": None, ".hid/f.wav": None, "own/._a.wav": b"x"})
    plain = [root / name for name in ("b.wav", "own/a.wav")]
    assert layout.find_audio(root) == plain == layout.visible(root, "**/*.wav")
    for name, target in {
        "linked": elsewhere, "zz": elsewhere, "a_copy": root / "own", "own/up": root,
        "above": root.parent, ".hidden": elsewhere, "gone": root / "nowhere",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    (elsewhere / "back").symlink_to(root)
    assert layout.find_audio(root) == [
        root / name for name in ("b.wav", "linked/c.wav", "linked/deep/d.wav", "own/a.wav")
    ]
    # The root may itself be a link.
    (root.parent / "link").symlink_to(root)
    found = layout.find_audio(root.parent / "link")
    assert found[1] == root.parent / "link/linked/c.wav" and len(found) == 4


def test_a_part_that_loses_its_recordings_leaves_none_of_them(tree, prepared, capsys):
    root = tree({f"noise/n{i:02}.wav": None for i in range(12)})
    options = ("--root", root, "--kinds", "noise", "--dev_share", "0")
    before = prepared("musan", *options, "--test_share", "0.5")
    assert set(before) == {"musan_train", "musan_test"}
    assert len(prepared("musan", *options, "--test_share", "0")["musan_train"].ids) == 12
    assert not (root.parent / "data/musan_test").exists()
    assert "musan_test: removed: its recordings are now in other parts" in capsys.readouterr().err


def test_a_data_dir_of_other_recordings_stays(tree, prepared):
    other = tree({"x.wav": None}, root="other")
    prepared("audio_folder", "--root", other, "--name", "musan_test")
    root = tree({f"noise/n{i:02}.wav": None for i in range(3)})
    found = prepared(
        "musan", "--root", root, "--kinds", "noise", "--dev_share", 0, "--test_share", 0
    )
    assert set(found) == {"musan_train", "musan_test"}


@pytest.mark.parametrize(("dev", "test"), [(0.9, 0.9), (-1, 0.1), (0, 1), (0.5, 0.5), (0, "nan")])
def test_shares_that_leave_nothing_for_training(dev, test):
    with pytest.raises(UserError, match=r"dev_share: .*, test_share: .*: neither may be negative"):
        layout.share_of("a", float(dev), float(test))
