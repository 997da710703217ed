"""The image method for a shoebox room (Allen and Berkley, 1979, https://doi.org/10.1121/1.382599).

The images are those of pyroomacoustics' ``ShoeBox``, and so is every bit of a response; but what
depends on one axis only (position, distance, reflections) is computed once per axis and not for
each image. pyroomacoustics sums the images.
"""

import math

import numpy as np

SPEED_OF_SOUND = 343.0  # m/s, pyroomacoustics' own
# pyroomacoustics sums that many parts of the images, each in its thread, and then their sums. By
# default as many as the machine has cores, and the last bits would depend on it.
PARTS = 2


def shoebox_response(
    size: tuple[float, float, float],
    absorption: np.ndarray,
    order: int,
    source: np.ndarray,
    microphone: np.ndarray,
    rate: int,
) -> tuple[np.ndarray, int]:
    """The response from source to microphone, without air absorption.

    Args:
        size: m.
        absorption: (3, 2) energy absorption of the walls at the start and the end of each axis.
        order: of the images: the most reflections.
        source, microphone: (3,) m.
        rate: Hz.

    Returns:
        (samples,) float32, and the sample at time 0: each image begins before it arrives, because
        it is a windowed sinc.
    """
    # Takes a second to import, which listing the corpora must not cost.
    from pyroomacoustics import constants, libroom

    distance, amplitude = _images(size, absorption, order, source, microphone)
    taps = constants.get("frac_delay_length")
    lead = taps // 2
    delays = distance / SPEED_OF_SOUND + lead / rate
    response = np.zeros(math.ceil(delays.max() * rate + lead + 1) + 1, dtype=np.float32)
    libroom.rir_builder(
        response, delays.astype(np.float32), amplitude.astype(np.float32), rate, taps,
        constants.get("sinc_lut_granularity"), PARTS,
    )  # fmt: skip
    return response, lead


def _images(
    size: tuple[float, float, float],
    absorption: np.ndarray,
    order: int,
    source: np.ndarray,
    microphone: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Distance (m) from the microphone and amplitude of each image, both (images,) float64."""
    number = np.arange(-order, order + 1)  # of an image along an axis: the mirrored rooms between
    rest = order - np.abs(number)
    across = np.flatnonzero((rest[:, None] + rest) >= order)  # pairs of z and y
    z, y = np.divmod(across, len(number))
    reach = rest[z] + rest[y] - order  # of x in both directions
    repeats = 2 * reach + 1
    # Images are in the order z, y, x: x runs from -reach to reach for each pair.
    x = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - order - 1 - reach, repeats)

    squares = [
        _squared_distances(*axis, number) for axis in zip(size, source, microphone, strict=True)
    ]
    distance = squares[0][x]
    distance += np.repeat(squares[1][y], repeats)
    distance += np.repeat(squares[2][z], repeats)
    np.sqrt(distance, out=distance)

    starts, ends = np.stack([_reflections(walls, number) for walls in absorption], axis=1)
    amplitude = (starts[0] * ends[0])[x]
    for walls in (starts[1][y], ends[1][y], starts[2][z], ends[2][z]):  # in this order: rounding
        amplitude *= np.repeat(walls, repeats)
    return distance, amplitude / distance


def _squared_distances(
    size: float, source: float, microphone: float, number: np.ndarray
) -> np.ndarray:
    """Squared distance along one axis of each of the images (m^2)."""
    length, at = np.float32(size), np.float32(source)
    positions = number.astype(np.float32) * length + np.where(number % 2, length - at, at)
    return (positions - np.float64(microphone)) ** 2


def _reflections(walls: np.ndarray, number: np.ndarray) -> np.ndarray:
    """(2, images of an axis) float32: what is left after the reflections at either of two walls."""
    near, far = np.abs(number) // 2, (np.abs(number) + 1) // 2
    times = np.where(number > 0, (near, far), (far, near))
    factors = np.sqrt(np.float32(1) - np.asarray(walls, dtype=np.float32))
    powers = np.ones((2, times.max() + 1), dtype=np.float32)
    powers[:, 1:] = factors[:, None]
    powers = np.multiply.accumulate(powers, axis=1)
    return np.take_along_axis(powers, times, axis=1)
