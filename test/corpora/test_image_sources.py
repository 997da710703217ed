import numpy as np
import pytest

from espnet_robust.corpora.image_sources import PARTS, shoebox_response

SIZE = (3.1, 4.2, 2.5)
WALLS = ("west", "east", "south", "north", "floor", "ceiling")
ABSORPTION = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SOURCE, MICROPHONE = np.array([1.0, 1.1, 1.2]), np.array([2.0, 3.1, 1.4])


@pytest.mark.parametrize("order", [0, 1, 2, 17])
def test_every_bit_is_that_of_pyroomacoustics(order):
    pra = pytest.importorskip("pyroomacoustics")
    before = {key: pra.constants.get(key) for key in ("rir_hpf_enable", "num_threads")}
    pra.constants.set("rir_hpf_enable", False)
    pra.constants.set("num_threads", PARTS)
    try:
        materials = {w: pra.Material(a) for w, a in zip(WALLS, ABSORPTION, strict=True)}
        room = pra.ShoeBox(SIZE, fs=16000, materials=materials, max_order=order)
        room.add_source(SOURCE)
        room.add_microphone(MICROPHONE)
        room.compute_rir()
    finally:
        for key, value in before.items():
            pra.constants.set(key, value)
    walls = np.reshape(ABSORPTION, (3, 2))
    response, _ = shoebox_response(SIZE, walls, order, SOURCE, MICROPHONE, 16000)
    assert response.dtype == np.float32
    assert np.array_equal(response, room.rir[0][0])


def test_direct_sound_is_at_its_distance():
    response, lead = shoebox_response(SIZE, np.full((3, 2), 0.5), 0, SOURCE, MICROPHONE, 16000)
    distance = np.linalg.norm(SOURCE - MICROPHONE)
    assert np.argmax(response) - lead == round(distance / 343 * 16000)
    assert response.max() == pytest.approx(1 / distance, rel=0.2)  # a sinc between samples
