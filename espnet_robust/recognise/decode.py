"""Decode many test sets and conditions with one ESPnet ASR model in one process.

The encoder runs on batches of utterances of similar length; ``search.py`` turns its output into
tokens.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from espnet2.layers.stft import Stft
from espnet2.tasks.abs_task import AbsTask
from espnet2.tasks.asr import ASRTask
from espnet2.text.build_tokenizer import build_tokenizer
from espnet2.text.token_id_converter import TokenIDConverter
from torch import Tensor, nn

from espnet_robust.common.errors import AudioError, ConfigError, ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.live import counted
from espnet_robust.common.made_of import Output
from espnet_robust.data.audio import RATE, audio_info, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.models.arithmetic import multiply_accumulates
from espnet_robust.models.onednn.choice import recall
from espnet_robust.plugin.checked_audio import rate_of
from espnet_robust.plugin.espnet_versions import from_nets
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import register
from espnet_robust.recognise.search import Search, beam, greedy

RNNP = from_nets("RNNP")


class Decoder(Protocol):
    """The interface that ``decode`` needs: a recogniser or a classifier."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def checkpoint(self) -> str: ...

    @property
    def rate(self) -> int: ...

    def __call__(self, wavs: Sequence[np.ndarray]) -> list[str]: ...


@dataclass(frozen=True)
class Recogniser:
    """A trained model, with a search and the conversion of tokens to text; ``rate`` is in Hz."""

    model: nn.Module
    search: Search
    tokenizer: object
    converter: TokenIDConverter
    checkpoint: str
    rate: int

    def __call__(self, wavs: Sequence[np.ndarray]) -> list[str]:
        """Utterances (samples,) float32 -> their texts."""
        # ESPnet's recurrent encoders need batches sorted by decreasing length.
        order = sorted(range(len(wavs)), key=lambda i: -len(wavs[i]))
        with torch.inference_mode():
            encoded, frames = self.model.encode(*padded([wavs[i] for i in order], self.model))
            found = self.search(encoded, frames)
        texts = {i: self._text(tokens) for i, tokens in zip(order, found, strict=True)}
        return [texts[i] for i in range(len(wavs))]

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.tokens2text(self.converter.ids2tokens(tokens))


def load_recogniser(
    exp: Path,
    checkpoint: str,
    method: str = "greedy",
    beam_size: int = 10,
    ctc_weight: float = 1.0,
    device: str = "cpu",
) -> Recogniser:
    """The ASR model of an ESPnet experiment directory.

    Args:
        method: ``greedy``, or ``beam`` with ``beam_size`` and ``ctc_weight`` as in
            ``search.beam``.
        device: ``cpu`` or ``cuda``.

    Raises:
        ModelError: no such experiment or checkpoint, or a model without CTC.
        ConfigError: options of the beam search are invalid, or there is no GPU for ``cuda``.
    """
    model, args = load_model(ASRTask, "asr", exp, checkpoint, device)
    if model.ctc is None:
        raise ModelError(f"{exp}: the model has no CTC; decode it with espnet2.bin.asr_inference")
    _evaluate(model)
    return Recogniser(
        model,
        greedy(model) if method == "greedy" else beam(model, beam_size, ctc_weight),
        build_tokenizer(args.token_type, bpemodel=args.bpemodel),
        TokenIDConverter(args.token_list),
        checkpoint,
        rate_of(args),
    )


def load_model(
    task: type[AbsTask], name: str, exp: Path, checkpoint: str, device: str
) -> tuple[nn.Module, argparse.Namespace]:
    """The model and configuration of an ESPnet experiment, after registering our frontend.

    Raises:
        ModelError: no such experiment or checkpoint.
        ConfigError: there is no GPU for ``cuda``.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch finds no GPU here; use cpu (in a recipe: --ngpu 0)")
    # TF32 convolutions, torch's default, change hidden states by 4e-3 (conf/distill/RESULTS.md),
    # but results should not depend on the device.
    torch.backends.cudnn.allow_tf32 = False
    register((name,))
    for path in (exp / "config.yaml", exp / checkpoint):
        if not path.is_file():
            raise ModelError(f"{path}: not found; has training finished?")
    if device == "cpu":
        recall(exp)
    model, args = task.build_model_from_file(exp / "config.yaml", exp / checkpoint, device)
    if isinstance(frontend := getattr(model, "frontend", None), RobustFrontend):
        frontend.cache_nothing()  # each utterance comes once
    return model, args


def padded(wavs: Sequence[np.ndarray], model: nn.Module) -> tuple[Tensor, Tensor]:
    """Utterances (samples,) -> zero-padded (B, samples) and lengths (B,), on the model's device."""
    device = next(model.parameters()).device
    batch = nn.utils.rnn.pad_sequence([torch.from_numpy(wav) for wav in wavs], batch_first=True)
    return batch.to(device), torch.tensor([len(wav) for wav in wavs], device=device)


def _evaluate(model: nn.Module) -> None:
    """``model.eval()``, also in ESPnet's RNNP, which otherwise keeps applying dropout."""
    model.eval()
    for module in model.modules():
        if isinstance(module, RNNP):
            module.dropout = 0.0


def decode(
    recogniser: Decoder,
    conditions: dict[str, Path],
    output: Output,
    batch_seconds: float,
    table: str = "text",
) -> None:
    """Decode each condition's data dir; write ``CONDITION/TABLE`` and ``decode.json``.

    Args:
        conditions: name -> data dir.
        output: the directory of the texts, and what decides them; see ``job.decoded_of``.
        batch_seconds: seconds of audio in a batch, including padding.

    The real-time factor in ``decode.json`` is the time from samples to text, without reading files,
    divided by the duration of the audio.

    Raises:
        DataDirError, AudioError: a data dir or its audio cannot be used, or an utterance is too
            short for the model.
    """
    out = output.path
    shortest = _min_samples(recogniser.model)
    output.begin()
    compute_seconds = audio_seconds = 0.0
    title = f"decode {out.parent.parent.name} {out.name}"
    for name, data_dir in counted(conditions.items(), title, "condition"):
        entries = read_data_dir(data_dir).wav
        hypotheses = {}
        for ids in batches(entries, batch_seconds, recogniser.rate):
            wavs = [read_audio(entries[utt_id], rate=recogniser.rate) for utt_id in ids]
            _check_lengths(data_dir, dict(zip(ids, wavs, strict=True)), shortest)
            began = time.perf_counter()
            hypotheses.update(zip(ids, recogniser(wavs), strict=True))
            compute_seconds += time.perf_counter() - began
            audio_seconds += sum(map(len, wavs)) / recogniser.rate
        (out / name).mkdir(parents=True, exist_ok=True)
        lines = (f"{utt_id} {hypotheses[utt_id]}".rstrip(" ") for utt_id in entries)
        write_atomic(out / name / table, "\n".join(lines) + "\n")
    record = _costs(recogniser.model, compute_seconds, audio_seconds)
    record |= {"checkpoint": recogniser.checkpoint}
    write_atomic(out / "decode.json", json.dumps(record, indent=2) + "\n")
    output.finish([*(f"{name}/{table}" for name in conditions), "decode.json"])


def _check_lengths(data_dir: Path, wavs: Mapping[str, np.ndarray], shortest: int) -> None:
    """Raise AudioError if an utterance, {id: (samples,)}, has less than ``shortest`` samples."""
    for utt_id, wav in wavs.items():
        if len(wav) < shortest:
            raise AudioError(
                f"{data_dir}: {utt_id}: {len(wav)} samples, the model needs {shortest}; delete its "
                f"line in utt2spk, then: espnet-robust data fix {data_dir}"
            )


def _min_samples(model: nn.Module) -> int:
    """The fewest samples of which a model's frontend makes features, alone in a batch."""
    frontend = getattr(model, "frontend", None)
    if isinstance(frontend, RobustFrontend):
        return frontend.speech_model.min_samples
    stft = getattr(frontend, "stft", None)
    if not isinstance(stft, Stft):
        return 1
    # If centred, the first and last frame are completed with their mirror image.
    return stft.n_fft // 2 + 1 if stft.center else stft.n_fft


def _costs(model: nn.Module, compute_seconds: float, audio_seconds: float) -> dict[str, Any]:
    """Size and speed of a model, and the device on which the speed was measured."""
    return {
        "params": sum(p.numel() for p in model.parameters()),
        **_speech_model_costs(model),
        "rtf": compute_seconds / audio_seconds,
        "audio_seconds": round(audio_seconds, 2),
        "threads": torch.get_num_threads(),
        "device": _device_name(model),
    }


def _speech_model_costs(model: nn.Module) -> dict[str, int | None]:
    """Parameters of the feature extractor, and its multiply-accumulates per second of audio.

    For other ESPnet frontends, only parameters are counted, if they have any.
    """
    frontend = getattr(model, "frontend", None)
    speech_model = getattr(frontend, "speech_model", None)
    if speech_model is None:
        part = frontend if isinstance(frontend, nn.Module) else nn.Identity()
        return {"speech_model_params": sum(p.numel() for p in part.parameters()), "macs": None}
    seconds = 5.0  # long enough that edges do not count
    macs = multiply_accumulates(speech_model, seconds)["all"] / seconds
    parameters = sum(p.numel() for p in speech_model.parameters())
    return {"speech_model_params": parameters, "macs": round(macs)}


def _device_name(model: nn.Module) -> str:
    """``cpu``, or the name of the GPU."""
    device = next(model.parameters()).device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def batches(entries: dict[str, str], batch_seconds: float, rate: int = RATE) -> Iterator[list[str]]:
    """Yield batches of ids of similar length; length times number is at most ``batch_seconds``.

    Args:
        entries: utterance id -> entry of ``wav.scp``, of any sampling rate.
        rate: Hz at which they will be read.
    """
    samples = {utt_id: audio_info(entry).num_samples_at(rate) for utt_id, entry in entries.items()}
    batch: list[str] = []
    for utt_id in sorted(samples, key=lambda u: (samples[u], u)):
        if batch and (len(batch) + 1) * samples[utt_id] > batch_seconds * rate:
            yield batch
            batch = []
        batch.append(utt_id)
    if batch:
        yield batch
