"""A copy that is not whole, or whose material was replaced, is made again; a whole one is not."""

import json
import os
import shutil

import pytest

from espnet_robust.data.audio import read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir, validate_data_dir, write_data_dir
from espnet_robust.distortion.copies import distort_data_dir

FILES = ("wav.scp", "text", "utt2spk", "spk2utt", "utt2num_samples", "utt2distortion", "spk2gender")
DAMAGES = {
    "lost": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a line less": lambda path: path.write_bytes(
        path.read_bytes().rstrip(b"\n").rpartition(b"\n")[0]
    ),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
}


@pytest.fixture
def own(material, tmp_path):
    """A source and noise of its own, which may be changed: 3 utterances, 2 noises."""
    for name in ("voices", "noise"):
        tables = {n: dict(t) for n, t in read_data_dir(material / name).tables.items()}
        for n, table in tables.items():
            tables[n] = dict(list(table.items())[:3])
        for utt, entry in tables["wav.scp"].items():
            audio = tmp_path / f"{name}_audio" / f"{utt}.flac"
            audio.parent.mkdir(exist_ok=True)
            shutil.copy2(entry, audio)
            tables["wav.scp"][utt] = str(audio)
        write_data_dir(tmp_path / name, tables)
    (tmp_path / "voices/spk2gender").write_text("spk0 f\n")
    return tmp_path


def make(own, **options) -> bool:
    """Make the copy; whether it was made anew."""
    before = own / "copy" / "wav.scp"
    inode = before.stat().st_ino if before.exists() else None
    held = open(before, "rb") if inode else None  # noqa: SIM115 - keeps the inode from reuse
    config = {"chain": [{"name": "noise", "noise": str(own / "noise")}]}
    distort_data_dir(own / "voices", own / "copy", config, seed=1, **options)
    if held:
        held.close()
    return (own / "copy" / "wav.scp").stat().st_ino != inode


def contents(path) -> dict:
    return {f.relative_to(path): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("format", ["flac", "flac.ark"])
def test_damaged_copy_is_made_again(own, capsys, format, damage):
    assert make(own, format=format) and not make(own, format=format)
    whole = contents(own / "copy")
    audio = [str(f) for f in whole if f.parts[0] == "audio"]
    assert audio
    if damage in ("zeros", "a line less"):  # of audio only the size is looked at
        audio = []
    # A record that cannot be read tells nobody that there was a copy; blanks do not damage JSON.
    records = ["distortion.files"] + ["distortion.json"] * (damage != "a byte more")
    for name in (*FILES, *records, *audio):
        capsys.readouterr()
        DAMAGES[damage](own / "copy" / name)
        assert make(own, format=format), name
        assert name == "distortion.json" or "made again: " in capsys.readouterr().err
        assert contents(own / "copy") == whole
    validate_data_dir(own / "copy", audio=True)


def test_what_others_add_to_a_copy_does_not_matter(own):
    make(own)
    (own / "copy" / "feats.scp").write_text("x y\n")
    assert not make(own)


@pytest.mark.parametrize("which", ["voices", "noise"])
def test_replaced_audio_is_noticed(own, which):
    file = next(iter(read_data_dir(own / which).wav.values()))
    about = os.stat(file)
    make(own)
    before = contents(own / "copy" / "audio")
    write_audio(file, -read_audio(file))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert make(own) and not make(own)
    assert contents(own / "copy" / "audio") != before


def test_other_files_of_the_source_are_those_of_now(own, capsys):
    make(own)
    (own / "voices/feats.scp").write_text("of the undistorted audio\n")  # not carried over
    (own / "voices/.note").write_text("hidden\n")
    (own / "voices/spk2utt").touch()
    assert not make(own)
    (own / "voices/spk2gender").write_text("spk0 m\n")
    (own / "voices/spk2age").write_text("spk0 40\n")
    assert make(own) and not make(own)
    said = capsys.readouterr().err
    assert "copy: made again: source spk2gender changed; source spk2age is new" in said
    assert (own / "copy/spk2gender").read_text() == "spk0 m\n"
    assert (own / "copy/spk2age").read_text() == "spk0 40\n"
    (own / "voices/spk2age").unlink()
    assert make(own) and not (own / "copy/spk2age").exists()


def test_the_record_of_a_source_without_other_files_is_as_it_was(own):
    (own / "voices/spk2gender").unlink()
    make(own)
    source = json.loads((own / "copy/distortion.json").read_text())["source"]
    tables = {f.name for f in (own / "voices").iterdir()} - {"spk2utt"}
    assert source.keys() == {"audio", *tables}


@pytest.mark.parametrize("which", ["voices", "noise"])
def test_by_content_where_asked(own, which):
    file = next(iter(read_data_dir(own / which).wav.values()))
    about = os.stat(file)
    make(own, hash_audio=True)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert not make(own, hash_audio=True)
    write_audio(file, -read_audio(file))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert make(own, hash_audio=True) and not make(own, hash_audio=True)


def test_replaced_ark_is_noticed(own):
    distort_data_dir(own / "voices", own / "arks", {"chain": ["clean"]}, seed=1, format="ark")
    write_data_dir(own / "voices", read_data_dir(own / "arks").tables)
    make(own)
    assert not make(own)
    ark = own / "arks/audio/000000.ark"
    os.utime(ark, ns=(0, 0))
    assert not make(own)  # another time, the same content
    ark.write_bytes(ark.read_bytes()[:-2] + b"ab")
    assert make(own)
