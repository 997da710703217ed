import json

import numpy as np
import pytest
import soundfile
import torch
from espnet2.asr.frontend.default import DefaultFrontend
from torch import nn

from espnet_robust.common.errors import AudioError
from espnet_robust.common.made_of import Output
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.recognise.decode import batches, decode


@pytest.fixture
def data(tmp_path):
    """A data dir of three utterances of 1 s, each at another rate."""
    out = tmp_path / "test"
    out.mkdir()
    lines = {"wav.scp": "", "text": "", "utt2spk": ""}
    for rate in (16000, 48000, 8000):  # ids in order
        wav = 0.1 * np.sin(np.arange(rate) / 10)
        soundfile.write(out / f"u{rate}.wav", wav, rate)
        for table, value in zip(lines, (out / f"u{rate}.wav", "A", "s"), strict=True):
            lines[table] += f"u{rate} {value}\n"
    for table, text in lines.items():
        (out / table).write_text(text)
    return out


class Counting:
    """Its texts are the numbers of samples that it is given."""

    def __init__(self, rate):
        self.model, self.checkpoint, self.rate = nn.Linear(1, 1), "none.pth", rate

    def __call__(self, wavs):
        return self.decode(wavs)

    def decode(self, wavs):
        return [str(len(wav)) for wav in wavs]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_model_hears_its_own_rate(data, tmp_path, rate):
    decode(Counting(rate), {"clean": data}, Output(tmp_path / "out", {}), 60)
    lines = (tmp_path / "out/clean/text").read_text().split()
    assert lines[1::2] == [str(rate)] * 3
    assert json.loads((tmp_path / "out/decode.json").read_text())["audio_seconds"] == 3


def hearing(frontend):
    """A decoder whose model is a frontend, and what it has heard: lists of numbers of samples."""
    decoder, heard = Counting(16000), []
    decoder.model = nn.Module()
    decoder.model.frontend, decoder.model.weight = frontend, nn.Parameter(torch.zeros(1))

    def decode_batch(wavs):
        lengths = torch.tensor([len(wav) for wav in wavs])
        frontend(nn.utils.rnn.pad_sequence(list(map(torch.from_numpy, wavs)), True), lengths)
        heard.append(lengths.tolist())
        return [""] * len(wavs)

    decoder.decode = decode_batch
    return decoder, heard


@pytest.mark.parametrize("kind", ["robust_student", "default", "not centred"])
def test_an_utterance_that_is_too_short(data, tmp_path, student_dir, kind):
    if kind == "robust_student":
        frontend, shortest = RobustFrontend(student={"path": str(student_dir)}), 400
    else:
        centred = kind == "default"
        frontend, shortest = DefaultFrontend(center=centred), 257 if centred else 512
    decoder, heard = hearing(frontend.eval())

    def short(samples):
        soundfile.write(data / "u16000.wav", np.full(samples, 0.1), 16000)
        decode(decoder, {"clean": data}, Output(tmp_path / "out", {}), 0.5)  # one by one

    short(shortest)
    assert heard == [[shortest], [16000], [16000]]
    heard.clear()
    with pytest.raises(AudioError) as refusal:
        short(shortest - 1)
    assert str(refusal.value) == (
        f"{data}: u16000: {shortest - 1} samples, the model needs {shortest}; delete its line in "
        f"utt2spk, then: espnet-robust data fix {data}"
    )
    assert not heard


def test_seconds_of_a_batch_are_those_of_the_audio(data):
    entries = {f"u{rate}": str(data / f"u{rate}.wav") for rate in (8000, 16000, 48000)}
    assert sorted(map(len, batches(entries, 3.0, 8000))) == [3]
    assert sorted(map(len, batches(entries, 3.0, 16000))) == [3]
    assert sorted(map(len, batches(entries, 2.0, 16000))) == [1, 2]
