"""The page, in gradio: controls for speech and distortion, and the results as HTML."""

import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import AudioError, ConfigError, UserError
from espnet_robust.data.audio import audio_info, read_channels
from espnet_robust.live.distortions import Offer
from espnet_robust.live.show import layer_table, sound, texts
from espnet_robust.live.systems import System

_STYLE = """
.sound img { width: 100%; height: 110px; image-rendering: auto; border-radius: 4px; }
.sound audio { width: 100%; }
.sound { margin: 0; }
.wide { overflow-x: auto; }
.texts, .layers { width: 100%; }
.texts th, .texts td, .layers th, .layers td { padding: .3rem .5rem !important; }
.dark audio { color-scheme: dark; }
.bar { display: block; height: 4px; background: #0060a0; }
"""
_INTRO = """# Hear it, distort it, read it

Record a command or choose a file, choose a distortion and press **Listen**. Your audio stays on
this machine and is deleted after ten minutes, or when the command ends.
"""


@dataclass(frozen=True)
class Limits:
    """The longest and largest upload that is accepted.

    Args:
        seconds: duration of the audio.
        megabytes: size of the file.
    """

    seconds: float = 20.0
    megabytes: float = 10.0


def read_upload(path: str | None, limits: Limits) -> np.ndarray:
    """(samples,) at 16 kHz, channels averaged.

    Raises:
        AudioError: no file was given, it is too long, or it is not audio.
    """
    if not path:
        raise AudioError("record something or choose a file first")
    info = audio_info(path)
    if info.num_samples > limits.seconds * info.rate:
        seconds = info.num_samples / info.rate
        raise AudioError(f"{seconds:.1f} s of audio; the limit is {limits.seconds:g} s")
    wav = read_channels(path)
    return wav if wav.ndim == 1 else wav.mean(axis=1)


def listen(
    wav: np.ndarray, offer: Offer, strength: float, seed: int, systems: Sequence[System]
) -> tuple[str, str]:
    """Distort the speech and decode both versions with all systems.

    Returns:
        HTML with the players, and HTML with the texts.
    """
    distorted, _ = offer.distorter(strength)(wav, "live", seed=seed)
    said = offer.said(strength) if offer.parameter else ""
    title = f"distorted: {offer.kind}{f', {said}' if said else ''}"
    heard = {s.name: (s.hear(wav), s.hear(distorted)) for s in systems}
    return sound("undistorted", wav) + sound(title, distorted), texts(heard)


def build(systems: Sequence[System], offered: Mapping[str, Offer], limits: Limits) -> Any:
    """The page, a ``gradio.Blocks``."""
    import gradio as gr

    def on_listen(path: str | None, name: str, strength: float, seed: int | None) -> Any:
        try:
            return listen(read_upload(path, limits), offered[name], strength, seed or 0, systems)
        except UserError as e:
            # Without the upload's path, which means nothing to the reader.
            raise gr.Error(str(e).replace(f"{path}: ", ""), title="Cannot use this audio") from None

    def on_offer(name: str, strength: float) -> tuple[Any, str]:
        offer = offered[name]
        return gr.update(visible=bool(offer.parameter)), offer.said(strength)

    first = next(iter(offered))
    with gr.Blocks(title="espnet_robust", analytics_enabled=False, delete_cache=(60, 600)) as page:
        gr.Markdown(_INTRO)
        with gr.Row():
            audio = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="Speech", buttons=[]
            )
            with gr.Column():
                name = gr.Dropdown(list(offered), value=first, label="Distortion")
                strength = gr.Slider(0, 100, 50, step=1, label="Strength, %")
                said = gr.Textbox(
                    offered[first].said(50), label="Which means", interactive=False, max_lines=1
                )
                seed = gr.Number(0, precision=0, minimum=0, label="Random seed")  # None if cleared
                button = gr.Button("Listen", variant="primary")
        sounds = gr.HTML(label="Sounds")
        heard = gr.HTML(label="Texts")
        gr.Markdown("## Weight of each layer")
        gr.HTML(layer_table({s.name: s.layers for s in systems}))
        for changed in (name.change, strength.change):
            changed(on_offer, [name, strength], [strength, said], api_visibility="private")
        button.click(
            on_listen, [audio, name, strength, seed], [sounds, heard], api_visibility="private"
        )
    return page


def serve(
    systems: Sequence[System], offered: Mapping[str, Offer], limits: Limits, host: str, port: int
) -> None:
    """Serve the page until Ctrl-C.

    Uploads are kept in a temporary directory, which is in memory if the system has /dev/shm, and
    which is removed at the end.

    Args:
        systems: the recognisers, in the order in which their texts are shown.
        offered: distortions by the name that is shown.
        limits: largest upload.
        host: interface to listen on; 127.0.0.1 admits only this machine.
        port: TCP port.

    Raises:
        ConfigError: the port is taken, or the host is not this machine's.
    """
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="espnet_robust_live_", dir=memory) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when the page is built
        page = build(systems, offered, limits)
        page.queue(max_size=8, default_concurrency_limit=1)
        _launch(page, limits, host, port)
        print(f"http://{host}:{port}  (Ctrl-C to stop)", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads are removed
        page.block_thread()


def _launch(page: Any, limits: Limits, host: str, port: int) -> None:
    import gradio as gr

    # System fonts, because the theme's own would be downloaded.
    theme = gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    try:
        page.launch(
            server_name=host, server_port=port, share=False, quiet=True, footer_links=[],
            max_file_size=int(limits.megabytes * 1e6), css=_STYLE, theme=theme,
            prevent_thread_lock=True,
        )  # fmt: skip
    except OSError as e:  # gradio's own message is about its variables
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened on; name another --port"
        ) from e
