"""What the live page does, without gradio."""

import base64
import io
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.bin.demo import main
from espnet_robust.common.errors import AudioError, ConfigError, DataDirError, ModelError
from espnet_robust.distortion.kinds import KINDS
from espnet_robust.live.distortions import Offer, offers
from espnet_robust.live.page import Limits, build, listen, read_upload, serve
from espnet_robust.live.show import layer_table, sound, texts
from espnet_robust.live.systems import System, load_systems

DATA = ("data/noise_test", "data/rir_test", "data/test")
WITH_DATA = {"noise", "babble", "room", "noise in a room"}  # offered where these are there


def speech(seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.sin(np.arange(int(16000 * seconds)) / 5)).astype(np.float32)


def test_every_kind_of_the_engine_is_offered(recipe, monkeypatch):
    monkeypatch.chdir(recipe)
    assert {*offers(*DATA)} == WITH_DATA | {*offers(None, None, None)}
    offered = {offer.kind for offer in offers(*DATA).values()}
    # As pitch, band_reject and rooms; and what does nothing.
    assert offered == set(KINDS) - {"sox_pitch", "sox_sinc", "sox_reverb", "clean"}
    assert {offer.kind for offer in offers(None, None, None).values()} == offered - {
        "noise", "babble", "rir"
    }  # fmt: skip


@pytest.mark.parametrize("name", [*sorted(WITH_DATA), *offers(None, None, None)])
def test_both_ends_of_every_slider_distort(recipe, monkeypatch, name):
    monkeypatch.chdir(recipe)
    offer = offers(*DATA)[name]
    for strength in (0, 100):
        out, record = offer.distorter(strength)(speech(), "u", seed=0)
        assert np.isfinite(out).all() and len(out) > 0
        (step,) = record["steps"]
        assert step["kind"] == offer.kind
        if offer.parameter in step:  # some record what follows from it
            drawn = {0: offer.mild, 100: offer.hard}[strength]
            assert step[offer.parameter] == pytest.approx(drawn)
    assert len(out) != len(speech()) or np.abs(out - speech()).max() > 0.01


def test_noise_has_the_snr_that_is_said():
    offer = offers(None, None, None)["white noise"]
    assert offer.said(50) == "snr_db 15 dB"
    wav = speech()
    out, _ = offer.distorter(50)(wav, "u", seed=0)
    snr = 10 * np.log10(np.mean(wav**2) / np.mean((out - wav) ** 2))
    assert snr == pytest.approx(15, abs=0.3)
    assert offer.value(-10) == 30 and offer.value(200) == 0


def test_rooms_by_their_reverberation_time(recipe, monkeypatch):
    monkeypatch.chdir(recipe)
    assert offers(*DATA)["room"].parameter == ""
    monkeypatch.setattr("espnet_robust.distortion.collection.NEAREST", 1)
    offer = offers(None, "data/rir_graded", None)["room"]
    assert offer.said(50) == "rt60 0.5 s"
    for strength, room in ((0, "u0"), (100, "u1")):
        _, record = offer.distorter(strength)(speech(), "u", seed=0)
        assert record["steps"][0]["item"] == room


@pytest.mark.parametrize("place", range(3))
def test_data_that_are_not_there_end_the_command_at_its_start(place):
    given = [None, None, None]
    given[place] = "typo"
    with pytest.raises(DataDirError, match="^typo: no such data dir"):
        offers(*given)


def test_reverberation_times_that_are_none_end_it_too(tmp_path):
    (tmp_path / "wav.scp").write_text("r0 a.wav\nr1 b.wav\n")
    (tmp_path / "utt2rt60").write_text("r0 0.4\nr1 long\n")
    with pytest.raises(DataDirError, match="utt2rt60:2: 'long' is not a time in seconds"):
        offers(None, str(tmp_path), None)


def test_systems_of_an_experiment(recipe, monkeypatch):
    monkeypatch.chdir(recipe)
    systems = load_systems(Path("exp/short"), 0, [], "1epoch.pth")
    assert [system.name for system in systems] == ["teacher", "cdm1"]
    for system in systems:
        assert list(system.layers) == [0, 1, 2]
        assert sum(system.layers.values()) == pytest.approx(1)
        assert isinstance(system.hear(speech()), str)
    (one,) = load_systems(Path("exp/short"), 0, ["cdm1"], "1epoch.pth")
    assert one.name == "cdm1"
    with pytest.raises(
        ConfigError, match="exp/short: no recognisers with seed 7 in it; run `make demo`"
    ):
        load_systems(Path("exp/short"), 7, [], "1epoch.pth")
    with pytest.raises(ModelError, match="cdm2_seed0/asr: no recogniser of cdm2; was it trained"):
        load_systems(Path("exp/short"), 0, ["cdm2"], "1epoch.pth")


def test_without_gradio_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr("espnet_robust.bin.demo.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs gradio; fix: pip install -e '.\[demo\]'"):
        main([])


def test_a_port_that_is_taken():
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"^--host 127.0.0.1 --port {port}: cannot be listened on; name another --port$"
        with pytest.raises(ConfigError, match=message):
            serve([], offers(None, None, None), Limits(), "127.0.0.1", port)


@pytest.mark.parametrize(
    ("port", "message"),
    [(port, f"must be from 1 to 65535, got {port}") for port in ("0", "-1", "65536")]
    + [("http", "invalid port value: 'http'")],
)
def test_ports_that_are_none(port, message, capsys):
    with pytest.raises(SystemExit):
        main(["--port", port])
    assert f"argument --port: {message}\n" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "channels", "rate"), [(1, 1, 16000), (2, 2, 44100)])
def test_uploads_of_any_rate_and_channels(tmp_path, seconds, channels, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full((seconds * rate, channels), 0.1), rate)
    wav = read_upload(str(path), Limits())
    assert wav.shape == (seconds * 16000,) and wav[8000] == pytest.approx(0.1, abs=0.01)


def test_uploads_that_are_refused(tmp_path):
    with pytest.raises(AudioError, match="record something or choose a file first"):
        read_upload(None, Limits())
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16000 * 3), 16000)
    with pytest.raises(AudioError, match="3.0 s of audio; the limit is 2 s"):
        read_upload(str(path), Limits(seconds=2))
    path.write_text("no audio")
    with pytest.raises(AudioError, match="not audio"):
        read_upload(str(path), Limits())


def test_every_system_hears_both():
    heard = []

    def recogniser(wavs):
        heard.append(wavs[0])
        return [f"<b>{len(heard)}</b>"]

    system = System("<i>x</i>", recogniser, {0: 0.25, 1: 0.75})
    sounds, table = listen(speech(), Offer("gain", "gain_db", 0, -60, "dB"), 100, 0, [system])
    assert np.array_equal(heard[0], speech())
    assert np.allclose(heard[1], speech() / 1000, atol=1e-7)
    assert sounds.count("<audio") == 2 and "distorted: gain, gain_db -60 dB" in sounds
    assert "<td>&lt;b&gt;1&lt;/b&gt;</td><td>&lt;b&gt;2&lt;/b&gt;</td>" in table
    assert "<i>" not in table + layer_table({system.name: system.layers})


def test_seeds_that_are_cleared_or_negative(tmp_path):
    gradio = pytest.importorskip("gradio")
    soundfile.write(tmp_path / "a.wav", speech(), 16000)
    page = build([], offers(None, None, None), Limits())
    (hear,) = (f for f in page.fns.values() if f.name == "on_listen")
    *_, field = hear.inputs
    heard = [
        hear.fn(str(tmp_path / "a.wav"), "white noise", 50, field.preprocess(seed))
        for seed in (None, 0, 1)
    ]
    assert heard[0] == heard[1] != heard[2]
    with pytest.raises(gradio.Error, match="-1 is less than minimum value 0"):
        field.preprocess(-1)


def test_sounds_hold_the_samples_themselves():
    html = sound('a "title" <x>', speech())
    (audio,) = re.findall(r"data:audio/wav;base64,([\w+/=]+)", html)
    wav, rate = soundfile.read(io.BytesIO(base64.b64decode(audio)), dtype="float32")
    assert rate == 16000 and np.abs(wav - speech()).max() < 1e-4
    assert 'aria-label="a &quot;title&quot; &lt;x&gt;"' in html


def test_tables():
    assert "<td>(nothing)</td><td>B</td>" in texts({"a": ("", "B")})
    shares = layer_table({"teacher": {0: 0.5, 2: 0.5}, "log_mel": None})
    assert re.findall(r'<th scope="col">(.*?)</th>', shares) == ["system", "layer 0", "layer 2"]
    assert shares.count("50 %") == 2 and shares.count("<td></td>") == 2
