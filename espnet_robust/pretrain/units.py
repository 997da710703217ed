"""The units that a small HuBERT predicts: k-means clusters of MFCCs or of hidden states."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from tqdm import tqdm

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.files import sync
from espnet_robust.data.audio import RATE
from espnet_robust.models.speech_model import SpeechModel, load_teacher

KMEANS_FRAMES = 200_000  # more frames do not change clusters of MFCCs


def mfcc(wav: np.ndarray, hop: int, field_samples: int) -> np.ndarray:
    """(frames, 39): 13 MFCCs with first and second differences, normalised per utterance.

    Frames match the convolution stack: ``field_samples`` long, ``hop`` apart, no padding.
    """
    static = librosa.feature.mfcc(
        y=wav, sr=RATE, n_mfcc=13, n_fft=field_samples, hop_length=hop, n_mels=40, center=False
    ).T
    first = np.gradient(static, axis=0) if len(static) > 1 else np.zeros_like(static)
    second = np.gradient(first, axis=0) if len(static) > 1 else np.zeros_like(static)
    features = np.hstack([static, first, second])
    return (features - features.mean(0)) / (features.std(0) + 1e-5)


@dataclass(frozen=True)
class UnitsConfig:
    """The source of the units.

    Attributes:
        source: ``{from: mfcc}``, or ``{from: DIR, layer: N}`` for the features of another model.
        clusters: number of units.
        seed: of the clustering.
    """

    source: Mapping[str, Any]
    clusters: int
    seed: int


def find_units(
    config: UnitsConfig,
    wavs: list[np.ndarray],
    model: SpeechModel,
    cache: Path,
    device: str = "cpu",
) -> list[np.ndarray]:
    """(T,) int64 for each utterance (N,): the cluster of each frame of ``model``.

    They are read from the file ``cache`` if it was made from this audio with this configuration,
    and written to it otherwise.

    Raises:
        ConfigError: the frames of the model in ``config.source`` are not those of ``model``.
        ModelError: it cannot be loaded.
    """
    lengths = [model.num_frames(len(w)) for w in wavs]
    ends = np.cumsum(lengths)
    key = f"{config.source} {config.clusters} {config.seed} {_digest(wavs)}"
    if cache.is_file():
        stored = np.load(cache)
        if stored["ends"].tolist() == ends.tolist() and str(stored["key"]) == key:
            return np.split(stored["units"].astype(np.int64), ends[:-1])
    features = np.concatenate(list(_unit_features(config, wavs, model, device)))
    rng = np.random.default_rng([config.seed, 0])
    sample = features[rng.permutation(len(features))[:KMEANS_FRAMES]]
    kmeans = MiniBatchKMeans(config.clusters, batch_size=10_000, n_init=3, random_state=config.seed)
    units = kmeans.fit(sample).predict(features)
    with cache.with_suffix(".tmp").open("wb") as f:
        np.savez(f, units=units.astype(np.int16), ends=ends, key=key)
    sync([cache.with_suffix(".tmp")])
    os.replace(cache.with_suffix(".tmp"), cache)
    return np.split(units.astype(np.int64), ends[:-1])


def _digest(wavs: list[np.ndarray]) -> str:
    total = hashlib.sha256()
    for wav in wavs:
        total.update(f"{wav.dtype} {len(wav)} ".encode())
        total.update(wav.tobytes())
    return total.hexdigest()


def _unit_features(
    config: UnitsConfig, wavs: list[np.ndarray], model: SpeechModel, device: str
) -> Iterator[np.ndarray]:
    if config.source["from"] == "mfcc":
        for wav in tqdm(wavs, desc="MFCC", unit="utt"):
            yield mfcc(wav, model.hop, model.min_samples).astype(np.float32)
        return
    layer = int(config.source["layer"])
    earlier = load_teacher(config.source["from"], [layer]).to(device)
    theirs, ours = ((m.hop, m.min_samples, m.rate) for m in (earlier, model))
    if theirs != ours:
        raise ConfigError(
            f"units: {config.source['from']}: its frames, (hop, length, Hz) = {theirs}, are not "
            f"those of the model in training, {ours}; use a model with the same frames"
        )
    with torch.inference_mode():
        for wav in tqdm(wavs, desc="features", unit="utt"):
            one = torch.from_numpy(wav)[None].to(device), torch.tensor([len(wav)], device=device)
            yield earlier(*one).states[layer][0].cpu().numpy()
