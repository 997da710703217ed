"""Checks of the speech before training and while it is read."""

from collections.abc import Mapping

import numpy as np
import pytest

from espnet_robust.distill.data import CheckedAudio, check_split
from espnet_robust.errors import AudioError, ConfigError


def test_a_good_split_passes(data):
    check_split("train", [(f"{data}/wav.scp", "speech", "sound")], [f"{data}/utt2num_samples"], 400)


def test_shapes_of_espnet_have_more_columns(data, tmp_path):
    shapes = tmp_path / "speech_shape"
    shapes.write_text("u00 6400,1\nu03 8800,1\n")  # a part of the utterances
    check_split("train", [(f"{data}/wav.scp", "speech", "sound")], [str(shapes)], 400)
    with pytest.raises(AudioError, match="u03: 8800 samples are less than one frame .8801."):
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


class Reader(Mapping):
    """As ESPnet's: of (rate, samples) or (samples, rate)."""

    def __init__(self, *pair):
        self.pair = pair

    def __getitem__(self, utt):
        return self.pair

    def __iter__(self):
        return iter(["u"])

    def __len__(self):
        return 1


@pytest.mark.parametrize("pair", [(16000, np.ones(3)), (np.ones(3), 16000)])
def test_rate_and_samples_in_either_order(pair):
    checked = CheckedAudio(Reader(*pair), 16000, "wav.scp")
    rate, samples = checked["u"]
    assert rate == 16000 and len(samples) == 3
    assert list(checked) == ["u"] and len(checked) == 1
    with pytest.raises(AudioError, match="wav.scp: utterance u: sampled at 16000 Hz, the teacher"):
        CheckedAudio(Reader(*pair), 8000, "wav.scp")["u"]
