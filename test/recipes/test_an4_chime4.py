"""an4/asr1 and chime4/asr1 on noise in their layouts."""

import pytest

from espnet_robust.data.data_dir import read_data_dir

SPEAKERS = [f"sp{n:02d}" for n in range(30)]
AN4 = (
    {f"wav/an4_clstk/{s}/an{n}-{s}-b.wav": 1.0 for n, s in enumerate(SPEAKERS)}
    | {"wav/an4test_clstk/menk/an422-menk-b.wav": 1.2}
    | {
        "etc/an4_train.fileids": "".join(
            f"an4_clstk/{s}/an{n}-{s}-b\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_train.transcription": "".join(
            f"<s> GO {['YES', 'NO'][n % 2]} </s> (an{n}-{s}-b)\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_test.fileids": "an4test_clstk/menk/an422-menk-b\n",
        "etc/an4_test.transcription": "YES (an422-menk-b)\n",
    }
)
PLACES = ("bus", "caf", "ped", "str")
CHIME4: dict[str, str | float] = {}
for part, track, ending in (
    ("tr05_real", "isolated", ".CH5.wav"),
    ("dt05_real", "isolated_1ch_track", ".wav"),
    ("et05_real", "isolated_1ch_track", ".wav"),
    ("et05_simu", "isolated_1ch_track", ".wav"),
):
    utts = [f"M03_{n}21C0202_{place.upper()}" for place in PLACES for n in (4, 5)]
    part_name, arm = part.split("_")
    for utt in utts:
        place = utt.rpartition("_")[2].lower()
        directory = f"data/audio/16kHz/{track}/{part_name}_{place}_{arm}"
        CHIME4[f"{directory}/{utt}{ending}"] = 1.0
    CHIME4[f"data/transcriptions/{part}.dot_all"] = "".join(f"IT FELL ({utt})\n" for utt in utts)


@pytest.mark.recipe
def test_an4(checkout, tiny, rows, noises, mini_teacher, write_tree, tmp_path):
    recipe = checkout / "egs/an4/asr1"
    root = write_tree(tmp_path, AN4)
    tiny(recipe, "--an4", str(root), "--systems", "teacher", *mini_teacher, *noises)
    table = rows(recipe / "exp/report", "wer")
    assert [row["condition"] for row in table] == ["clean", "clip", "noise_in"]


@pytest.mark.recipe
def test_chime4_has_a_condition_for_each_place(
    checkout, run, rows, noises, mini_teacher, write_tree, tmp_path
):
    recipe = checkout / "egs/chime4/asr1"
    root = write_tree(tmp_path, CHIME4)
    done = run(
        recipe, "--chime4", str(root), "--budget", "tiny", "--systems", "teacher",
        *mini_teacher, *noises,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    table = rows(recipe / "exp/report", "wer")
    assert [row["condition"] for row in table] == [
        f"{arm}_{place}" for arm in ("real", "simu") for place in PLACES
    ]
    assert {row["words"] for row in table} == {"4"}
    assert len(read_data_dir(recipe / "data/train").ids) == 8
