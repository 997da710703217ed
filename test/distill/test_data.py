"""Checks of the speech before training and while it is read."""

import pytest

from espnet_robust.common.errors import AudioError, ConfigError, DataDirError
from espnet_robust.distill.data import check_split


def test_a_good_split_passes(data):
    check_split("train", [(f"{data}/wav.scp", "speech", "sound")], [f"{data}/utt2num_samples"], 400)


def test_shapes_of_espnet_have_more_columns(data, tmp_path):
    shapes = tmp_path / "speech_shape"
    shapes.write_text("u00 6400,1\nu03 8800,1\n")  # a part of the utterances
    check_split("train", [(f"{data}/wav.scp", "speech", "sound")], [str(shapes)], 400)
    with pytest.raises(AudioError, match="u03: 8800 samples, less than one frame .8801."):
        shapes.write_text("u03 8800,1\n")
        check_split("train", [(f"{data}/wav.scp", "speech", "sound")], [str(shapes)], 8801)


@pytest.mark.parametrize(
    ("sources", "shapes", "message"),
    [
        ([], ["s"], "--valid_data_path_and_name_and_type: need DATA_DIR/wav.scp,speech,sound"),
        ([("w", "noise", "sound")], ["s"], "need DATA_DIR/wav.scp,speech,sound"),
        ([("w", "speech", "sound")] * 2, ["s"], "need DATA_DIR/wav.scp,speech,sound, once"),
        ([("w", "speech", "sound")], [], "--valid_shape_file: need DATA_DIR/utt2num_samples"),
    ],
)
def test_missing_options(sources, shapes, message):
    with pytest.raises(ConfigError, match=message):
        check_split("valid", sources, shapes, 400)


def test_segments_are_refused_with_their_mend(tmp_path):
    """Rather than the shapes of the segments, which are no recordings of wav.scp."""
    (tmp_path / "wav.scp").write_text("recording a.wav\n")
    (tmp_path / "segments").write_text("u1 recording 0 1\n")
    (tmp_path / "utt2num_samples").write_text("u1 16000\n")
    sources = [(f"{tmp_path}/wav.scp", "speech", "sound")]
    with pytest.raises(DataDirError, match=r"whole recordings for utterances; fix: .*cut_segments"):
        check_split("train", sources, [f"{tmp_path}/utt2num_samples"], 400)
