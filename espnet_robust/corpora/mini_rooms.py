"""Simulated rooms for the mini corpus: shoeboxes by the image method (pyroomacoustics).

Each room has its own size, six walls of different absorption and an RT60; each response has its own
positions. Sabine's formula misses the RT60 of image-method responses by up to 40 %, so the walls
are corrected until the room has the requested RT60. All images needed for that RT60 are summed;
without random displacement or ray tracing, the seed is the only source of randomness.
"""

import argparse
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy

from espnet_robust.corpora.synthesis import add_seed, audio_tables, generator, make_files
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import write_data_dir

PEAK = 0.9  # of the direct path, which is the first sample
SPEED_OF_SOUND = 343.0  # m/s, pyroomacoustics' own
MARGIN = 0.4  # m between any wall and source or microphone
TOLERANCE = 0.05  # relative error of the RT60 at which the correction stops
ABSORPTION = (0.02, 0.95)  # range for a wall
WALLS = ("east", "west", "north", "south", "ceiling", "floor")
TAIL_DB = -60.0  # a response is cut where less than this share of its energy remains
DIRECT_SOUND = 0.0025  # s

# part -> rooms, positions per room, RT60 (s), smallest and largest size (m), source distance (m)
PARTS = {
    "train": (16, 5, (0.2, 0.6), ((3.0, 3.0, 2.4), (8.0, 6.0, 3.2)), (0.5, 3.0)),
    "dev": (4, 3, (0.2, 0.6), ((3.0, 3.0, 2.4), (8.0, 6.0, 3.2)), (0.5, 3.0)),
    "test": (8, 4, (0.2, 0.6), ((3.0, 3.0, 2.4), (8.0, 6.0, 3.2)), (0.5, 3.0)),
    "ood": (8, 4, (0.7, 1.2), ((9.0, 7.0, 3.5), (18.0, 14.0, 7.0)), (1.5, 5.0)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_seed(parser)


def prepare(out: Path, *, seed: int = 0, nj: int = 2) -> list[Path]:
    """Write OUT/rir_{train,dev,test,ood} and OUT/mini_rooms_audio; returns the data dirs.

    ``utt2group`` holds the room, ``utt2rt60`` the RT60 measured on the response (T20, s) and
    ``utt2rt60_requested`` the room's. Sample 0 is the direct path. Same seed, same bytes.
    """
    plan = {part: plan_rooms(seed, part) for part in PARTS}
    items = [item for part in plan.values() for item in part]
    audio = out / "mini_rooms_audio"
    # What corrects the walls of a room is as much work as three of its responses.
    made = make_files(render, items, audio, nj=nj, label="mini: rooms", together="room")
    dirs = []
    for part, responses in plan.items():
        tables = audio_tables(made, [item["id"] for item in responses])
        tables["utt2group"] = {item["id"]: item["room"] for item in responses}
        tables["utt2rt60_requested"] = {i["id"]: f"{i['rt60']:.3f}" for i in responses}
        tables["utt2rt60"] = {
            utt: f"{measure_rt60(read_audio(entry)):.3f}"
            for utt, entry in tables["wav.scp"].items()
        }
        dirs.append(write_data_dir(out / f"rir_{part}", tables).path)
    return dirs


def plan_rooms(seed: int, part: str) -> list[dict]:
    """The rooms of a part and the positions in them; RT60s are spread evenly over its range."""
    number, positions, rt60s, sizes, distances = PARTS[part]
    rng = generator(seed, f"mini_rooms {part}")
    edges = np.linspace(*rt60s, number + 1)
    plan = []
    for n in range(number):
        rt60 = float(rng.uniform(edges[n], edges[n + 1]))
        size = rng.uniform(*sizes)
        while _sabine(rt60, size) > 0.7:  # too large to be that dry
            size = rng.uniform(*sizes)
        walls = rng.uniform(0.5, 1.5, len(WALLS))
        for m in range(positions):
            source, microphone = _place(rng, size, distances)
            name = f"{part}-room{n:02d}"
            plan.append(
                {
                    "id": f"{name}-{m}",
                    "file": f"{part}/{name}-{m}.flac",
                    "room": name,
                    "rt60": round(rt60, 3),
                    "size": size.tolist(),
                    "walls": walls.tolist(),  # absorption relative to each other
                    "source": source.tolist(),
                    "microphone": microphone.tolist(),
                }
            )
    return plan


def _place(
    rng: np.random.Generator, size: np.ndarray, distances: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of source and microphone (m). Their distance is a whole number of samples, so that
    the direct path is one sample and not a sinc, whose first half would have to be cut off."""
    step = SPEED_OF_SOUND / RATE
    while True:
        microphone = rng.uniform(MARGIN, size - MARGIN)
        direction = rng.standard_normal(3) * (1, 1, 0.3)  # mouths are about as high as ears
        direction /= np.linalg.norm(direction)
        source = microphone + round(rng.uniform(*distances) / step) * step * direction
        if np.all(source > MARGIN) and np.all(source < size - MARGIN):
            return source, microphone


def render(item: dict) -> np.ndarray:
    """The planned response, (samples,), direct path first."""
    size = tuple(item["size"])
    absorption = absorption_for(item["rt60"], size, tuple(item["walls"]))
    response = image_method(
        size, absorption, item["rt60"], np.array(item["source"]), np.array(item["microphone"])
    )
    left = np.cumsum(response[::-1] ** 2)[::-1]
    response = response[left > 10 ** (TAIL_DB / 10) * left[0]]
    return (PEAK / response[0] * response).astype(np.float32)


@lru_cache(maxsize=4)
def absorption_for(
    rt60: float, size: tuple[float, float, float], walls: tuple[float, ...]
) -> tuple[float, ...]:
    """Energy absorption of the six walls, in proportion to ``walls``, for an RT60 in seconds."""
    inner = np.array(size) - 2 * MARGIN
    source, microphone = MARGIN + inner * (0.2, 0.3, 0.4), MARGIN + inner * (0.8, 0.6, 0.5)
    scale = _sabine(rt60, np.array(size))
    for _ in range(10):
        absorption = tuple(np.clip(scale * np.array(walls), *ABSORPTION).tolist())
        measured = measure_rt60(image_method(size, absorption, rt60, source, microphone))
        if abs(measured / rt60 - 1) < TOLERANCE:
            break
        scale *= measured / rt60
    return absorption


def image_method(
    size: tuple[float, float, float],
    absorption: tuple[float, ...],
    rt60: float,
    source: np.ndarray,
    microphone: np.ndarray,
) -> np.ndarray:
    """(samples,) float64 at 16 kHz from the direct path on; all images up to ``rt60`` seconds."""
    # Takes a second to import, which listing the corpora must not cost.
    import pyroomacoustics as pra

    _, order = pra.inverse_sabine(rt60, size)
    room = pra.ShoeBox(
        size,
        fs=RATE,
        materials={w: pra.Material(a) for w, a in zip(WALLS, absorption, strict=True)},
        max_order=order,
    )
    room.add_source(source)
    room.add_microphone(microphone)
    # Images all have the same sign, so a response has a DC offset. pyroomacoustics removes it with
    # a forward-backward filter, which smears it to before the direct path; ours does not. It adds
    # the images up in as many parts as the machine has cores, and their number shows in the bits.
    ours = {"rir_hpf_enable": False, "num_threads": 2}
    before = {key: pra.constants.get(key) for key in ours}
    try:
        for key, value in ours.items():
            pra.constants.set(key, value)
        room.compute_rir()
    finally:
        for key, value in before.items():
            pra.constants.set(key, value)
    response = room.rir[0][0]
    lead = pra.constants.get("frac_delay_length") // 2
    delay = np.linalg.norm(source - microphone) / SPEED_OF_SOUND
    response = response[lead + round(delay * RATE) :]
    return scipy.signal.sosfilt(
        scipy.signal.butter(2, 20, "highpass", fs=RATE, output="sos"), response
    )


def measure_rt60(response: np.ndarray, rate: int = RATE) -> float:
    """RT60 in seconds: three times the fall from -5 to -25 dB of Schroeder's integral (T20).

    The integral starts after the direct sound, which would mask the room if the source is near.
    """
    late = response[np.abs(response).argmax() + int(DIRECT_SOUND * rate) :].astype(np.float64)
    left = np.cumsum(late[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    fall = slice(np.argmax(level <= -5), np.argmax(level <= -25))
    slope, _ = np.polyfit(np.arange(len(level))[fall] / rate, level[fall], 1)
    return float(-60 / slope)


def _sabine(rt60: float, size: np.ndarray) -> float:
    """Mean absorption for an RT60 in seconds, by Sabine's formula."""
    x, y, z = size
    return 24 * np.log(10) * x * y * z / (SPEED_OF_SOUND * 2 * (x * y + y * z + x * z) * rt60)
