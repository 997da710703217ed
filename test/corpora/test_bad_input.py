"""The same mistakes with every corpus of a recipe: another directory, broken or missing files."""

import re
from dataclasses import dataclass, field

import pytest

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from test.corpora.test_noise_corpora import ESC, FSD, WHAM

HEADER = ",path,speakerId,transcription,action,object,location\n"
AN4_SPEAKERS = ("fash", "fbbh", "mwhw")
CHIME4_AUDIO = "data/audio/16kHz/isolated_1ch_track/et05_bus_real"
SESSIONS = {
    f"Session{n}/{name}": content
    for n in range(1, 6)
    for name, content in {
        f"dialog/EmoEvaluation/Ses0{n}F_impro01.txt": (
            f"[6.2901 - 8.2357]\tSes0{n}F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        ),
        f"dialog/transcriptions/Ses0{n}F_impro01.txt": (
            f"Ses0{n}F_impro01_F000 [006.2901-008.2357]: Yes.\n"
        ),
        f"sentences/wav/Ses0{n}F_impro01/Ses0{n}F_impro01_F000.wav": None,
    }.items()
}


@dataclass(frozen=True)
class Case:
    """A corpus of a few files.

    Args:
        files: as of the fixture ``tree``.
        audio: one of them.
        deep: a directory in it.
        transcript: a file whose loss is a DataDirError that names it, or None.
    """

    files: dict
    audio: str
    deep: str
    transcript: str | None = None
    options: list[str] = field(default_factory=list)


CASES = {
    "an4": Case(
        {
            "etc/an4_train.fileids": "".join(f"an4_clstk/{s}/an1-{s}-b\n" for s in AN4_SPEAKERS),
            "etc/an4_train.transcription": "".join(
                f"<s> YES </s> (an1-{s}-b)\n" for s in AN4_SPEAKERS
            ),
            "etc/an4_test.fileids": "an4test_clstk/menk/an2-menk-b\n",
            "etc/an4_test.transcription": "NO (an2-menk-b)\n",
            "wav/an4test_clstk/menk/an2-menk-b.wav": None,
        }
        | {f"wav/an4_clstk/{s}/an1-{s}-b.wav": None for s in AN4_SPEAKERS},
        audio="wav/an4test_clstk/menk/an2-menk-b.wav",
        deep="wav",
        transcript="etc/an4_test.transcription",
    ),
    "chime4": Case(
        {
            f"{CHIME4_AUDIO}/M05_440C020A_BUS.wav": None,
            "data/transcriptions/et05_real.dot_all": "YES (M05_440C020A_BUS)\n",
        },
        audio=f"{CHIME4_AUDIO}/M05_440C020A_BUS.wav",
        deep="data",
        transcript="data/transcriptions/et05_real.dot_all",
        options=["--sets", "et05_real"],
    ),
    "fluent_speech_commands": Case(
        {
            f"data/{part}_data.csv": HEADER + f"0,wavs/{part}.wav,s,Stop,stop,none,none\n"
            for part in ("train", "valid", "test")
        }
        | {f"wavs/{part}.wav": None for part in ("train", "valid", "test")},
        audio="wavs/valid.wav",
        deep="wavs",
        transcript="data/valid_data.csv",
    ),
    "fsdd": Case(
        {
            f"recordings/{digit}_{speaker}_0.wav": {"rate": 8000}
            for digit in range(10)
            for speaker in ("anna", "bert", "carl")
        },
        audio="recordings/3_carl_0.wav",
        deep="recordings",
        options=[
            "--nj",
            "1",
            "--dev_speakers",
            "bert",
            "--test_speakers",
            "carl",
            "--train_strings",
            "1",
            "--dev_strings",
            "1",
            "--test_strings",
            "9",
        ],
    ),
    "iemocap": Case(
        SESSIONS,
        audio="Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav",
        deep="Session2",
        transcript="Session2/dialog/transcriptions/Ses02F_impro01.txt",
        options=["--folds", "2"],
    ),
    "speech_commands": Case(
        {f"{word}/{n:08x}_nohash_0.wav": None for word in ("yes", "no") for n in range(9)},
        audio="yes/00000001_nohash_0.wav",
        deep="yes",
        options=["--keywords", "yes,no", "--silence_share", "0"],
    ),
}


@pytest.fixture(params=sorted(CASES))
def corpus(request):
    return request.param


def test_other_directories(corpus, tree, prepared, tmp_path):
    case = CASES[corpus]
    root = tree(case.files)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/README").write_text("nothing here")
    for wrong, message in {
        tmp_path / "nowhere": "no such directory",
        tmp_path / "other": "is not ",
        root / case.deep: f"too deep: .*--root {root}$",
        tmp_path: f"too high: .*--root {root}$",
    }.items():
        with pytest.raises(UserError, match=message):
            prepared(corpus, "--root", wrong, *case.options)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty file"), (b"not audio", "not audio"), ({"samples": 0}, "no samples")],
)
def test_broken_audio(corpus, tree, prepared, tmp_path, content, message):
    case = CASES[corpus]
    with pytest.raises(AudioError, match=message) as error:
        prepared(corpus, "--root", tree(case.files | {case.audio: content}), *case.options)
    assert case.audio in str(error.value) and "\n" not in str(error.value)
    assert not list((tmp_path / "data").glob("*/wav.scp"))


def test_missing_transcripts(corpus, tree, prepared, tmp_path):
    case = CASES[corpus]
    if not case.transcript:
        pytest.skip("the labels are in the names of the files")
    root = tree(case.files)
    (root / case.transcript).unlink()
    with pytest.raises(DataDirError) as error:
        prepared(corpus, "--root", root, *case.options)
    assert f"{case.transcript}: no such file" in str(error.value)
    (root / case.transcript).write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(DataDirError) as error:  # IEMOCAP's are Latin-1: anything is text there
        prepared(corpus, "--root", root, *case.options)
    assert corpus == "iemocap" or f"{case.transcript}: not UTF-8" in str(error.value)
    assert not (tmp_path / "data").exists()


def test_missing_audio(corpus, tree, prepared, tmp_path):
    """Where a list or table names it; words and digits are whatever files there are."""
    case = CASES[corpus]
    if not case.transcript:
        pytest.skip("no list of files")
    root = tree(case.files)
    (root / case.audio).unlink()
    with pytest.raises(UserError, match="no audio|no such file"):
        prepared(corpus, "--root", root, *case.options)
    assert not (tmp_path / "data").exists()


RUBBISH = b"\0\5\x16\7\0\2\0\0Mac OS X        " + b"\xb0" * 100


def test_hidden_files_are_passed_over(corpus, tree, prepared):
    """What macOS, editors and network disks leave beside and around the files of a corpus."""
    case = CASES[corpus]
    if corpus == "an4":
        pytest.skip("looks for no files but those that its lists name")
    clean = prepared(corpus, "--root", tree(case.files), *case.options)
    hidden = {}
    for name in case.files:
        folder, _, file = name.rpartition("/")
        for other in (f"._{file}", ".DS_Store", f".AppleDouble/{file}", f".{file}.swp"):
            hidden[f"{folder}/{other}"] = RUBBISH
    top = {f".Trash/{name}": RUBBISH for name in case.files} | {".DS_Store": RUBBISH}
    root = tree(case.files | hidden | top)
    for skip in ([], ["--skip_bad"]) if corpus != "fsdd" else ([],):
        again = prepared(corpus, "--root", root, *case.options, *skip)
        assert {n: d.tables for n, d in again.items()} == {n: d.tables for n, d in clean.items()}


def test_one_module_looks_for_files(root):
    """So that a new corpus passes hidden names over too."""
    looking = re.compile(r"\.(r?glob|iterdir|scandir|listdir|walk)\(")
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted((root / "espnet_robust/corpora").glob("*.py"))
        for line in path.read_text().splitlines()
        if looking.search(line)
    ]
    assert found == [
        "layout.py: for path in directory.glob(pattern)",
        "layout.py: for folder, directories, files in os.walk(link):  # links within come later",
        "synthesis.py: elif audio_dir.exists() and any(audio_dir.iterdir()):",  # its own output
    ]


@pytest.mark.parametrize(
    ("corpus", "table", "content", "message"),
    [
        (
            "fluent_speech_commands",
            "data/test_data.csv",
            HEADER + "0,../../secret.wav,s,Stop,stop,none,none\n",
            "test_data.csv:2: '../../secret.wav' is not within",
        ),
        (
            "fluent_speech_commands",
            "data/test_data.csv",
            HEADER + "0,/etc/secret.wav,s,Stop,stop,none,none\n",
            "'/etc/secret.wav' is not within",
        ),
        (
            "fluent_speech_commands",
            "data/test_data.csv",
            HEADER + "0,wavs/test.wav,../../s,Stop,stop,none,none\n",
            "'../../s-test', which cannot be a file name",
        ),
        ("an4", "etc/an4_test.fileids", "../../an2-menk-b\n", "is not within"),
    ],
)
def test_names_that_lead_outside(tree, prepared, tmp_path, corpus, table, content, message):
    root = tree(CASES[corpus].files | {table: content})
    with pytest.raises(DataDirError, match=message):
        prepared(corpus, "--root", root, "--copy")
    assert not list(tmp_path.glob("**/*.flac"))


WHAM_META = "metadata/noise_meta_tr.csv"
TABLES = {
    "esc50": (ESC, "meta/esc50.csv", "filename, fold, category"),
    "fsd50k": (FSD, "FSD50K.ground_truth/dev.csv", "fname, labels, split"),
    "wham_noise": (WHAM | {WHAM_META: "utterance_id,Location ID\n"}, WHAM_META,
                   "utterance_id, Location ID"),
    "fluent_speech_commands": (CASES["fluent_speech_commands"].files, "data/test_data.csv",
                               "path, speakerId, transcription, action, object, location"),
}  # fmt: skip


@pytest.mark.parametrize("corpus", sorted(TABLES))
@pytest.mark.parametrize("separator", [";", None])
def test_tables_with_other_columns(tree, prepared, tmp_path, corpus, separator):
    """Separated by semicolons, as spreadsheets write them, or without their last column."""
    files, table, columns = TABLES[corpus]
    first, *_, last = columns.split(", ")
    text = files[table].replace(",", separator) if separator else files[table].replace(last, "x")
    root = tree(files | {table: text})
    with pytest.raises(DataDirError) as error:
        prepared(corpus, "--root", root)
    assert str(error.value) == (
        f"{root / table}: no column {first if separator else last!r} in its first line; it must"
        f" name {columns}, separated by commas; is it the published table?"
    )
    assert not (tmp_path / "data").exists()


def test_rows_of_tables(tree, prepared):
    table = "FSD50K.ground_truth/dev.csv"
    for change, message in (
        (("train\n", "training\n"), "dev.csv:2: split 'training' is not train or val"),
        ((",train\n", "\n"), "dev.csv:2: fewer columns than in the first line"),
    ):
        root = tree(FSD | {table: FSD[table].replace(*change)})
        with pytest.raises(DataDirError, match=message):
            prepared("fsd50k", "--root", root)
    root = tree(FSD | {table: "\ufeff" + FSD[table]})
    assert len(prepared("fsd50k", "--root", root)) == 3


def test_few_speakers_of_an4(tree, prepared):
    """No name of these three hashes to dev."""
    root = tree(CASES["an4"].files)
    dirs = prepared("an4", "--root", root)
    found = {part: set(data.tables["utt2spk"].values()) for part, data in dirs.items()}
    assert found["train"] | found["dev"] == set(AN4_SPEAKERS) and found["test"] == {"menk"}
    assert len(found["train"]) == 2 and len(found["dev"]) == 1
    for name in ("fileids", "transcription"):
        table = root / f"etc/an4_train.{name}"
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(DataDirError, match="an4_train.fileids: recordings of 2 speakers; three or"):
        prepared("an4", "--root", root)


def test_an4_of_espnet(shared, prepared):
    if not (shared / "mini_an4").is_dir():
        pytest.skip("needs ../shared/data/mini_an4")
    dirs = prepared("an4", "--root", shared / "mini_an4")
    speakers = [set(dirs[part].tables["utt2spk"].values()) for part in ("train", "dev", "test")]
    assert all(speakers) and sum(map(len, speakers)) == len(set().union(*speakers))


def test_background_noise_that_is_too_short(tree, prepared):
    """A second of its own for each part: ten seconds, of which training has eight."""
    words = CASES["speech_commands"].files
    options = ["--keywords", "yes,no", "--silence_share", "1"]
    for samples, enough in ((80_000, False), (159_000, False), (160_000, True)):
        noise = {"_background_noise_/hum.wav": {"samples": samples}}
        root = tree(words | noise)
        if enough:
            prepared("speech_commands", "--root", root, *options)
            continue
        with pytest.raises(DataDirError) as error:
            prepared("speech_commands", "--root", root, *options)
        said = f"{samples / 16000:.1f} s; at least 10 s are needed"
        assert f"_background_noise_/hum.wav: lasts {said}" in str(error.value)
        prepared("speech_commands", "--root", root, *options[:2], "--silence_share", "0")
