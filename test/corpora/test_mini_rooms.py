import numpy as np
import pytest

from espnet_robust.corpora import mini_rooms, synthesis
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import validate_data_dir

PARTS = ("train", "dev", "test", "ood")


@pytest.fixture(scope="module")
def plan():
    return {part: mini_rooms.plan_rooms(0, part) for part in PARTS}


@pytest.mark.parametrize("rt60", [0.15, 0.5, 1.2])
def test_measure_rt60_of_an_exponential_decay(rt60):
    t = np.arange(2 * RATE) / RATE
    decay = np.random.default_rng(0).standard_normal(len(t)) * 10 ** (-3 * t / rt60)
    decay[0] = 20.0  # direct path
    assert mini_rooms.measure_rt60(decay) == pytest.approx(rt60, rel=0.05)


@pytest.mark.parametrize("rt60, part", [(0.22, "train"), (0.41, "train"), (0.95, "ood")])
def test_rt60_within_20_percent_of_the_request(rt60, part, plan):
    item = min(plan[part], key=lambda i: abs(i["rt60"] - rt60))
    for other in (i for i in plan[part] if i["room"] == item["room"]):
        response = mini_rooms.render(other)
        assert mini_rooms.measure_rt60(response) == pytest.approx(item["rt60"], rel=0.2)


def test_responses_begin_with_the_direct_path(plan):
    for item in plan["train"][:10:3]:
        response = mini_rooms.render(item)
        assert np.argmax(np.abs(response)) == 0
        assert response[0] == pytest.approx(mini_rooms.PEAK)
        # One sample, not a sinc: a millisecond later only the room is left.
        assert np.abs(response[1:4]).max() < 0.05
        assert np.array_equal(response, mini_rooms.render(item))


def test_rooms_and_positions(plan):
    sizes = [{tuple(i["size"]) for i in items} for items in plan.values()]
    assert len(set().union(*sizes)) == sum(map(len, sizes))
    rt60 = {part: [i["rt60"] for i in items] for part, items in plan.items()}
    for part in ("train", "dev", "test"):
        assert min(rt60[part]) >= 0.2 and max(rt60[part]) <= 0.6
    assert min(rt60["ood"]) >= 0.7 and max(rt60["ood"]) <= 1.2
    volume = {part: [np.prod(i["size"]) for i in items] for part, items in plan.items()}
    assert min(volume["ood"]) > max(volume["train"])
    for items in plan.values():
        for item in items:
            for place in (item["source"], item["microphone"]):
                assert np.all(np.array(place) >= 0.4)
                assert np.all(np.array(place) <= np.array(item["size"]) - 0.4)


def test_another_seed_draws_other_rooms(plan):
    assert mini_rooms.plan_rooms(1, "dev") != plan["dev"]
    assert mini_rooms.plan_rooms(0, "dev") == plan["dev"]


def test_data_dirs(tmp_path, monkeypatch):
    small = {part: (2, 2, (0.2, 0.3), *mini_rooms.PARTS[part][3:]) for part in ("train", "dev")}
    monkeypatch.setattr(mini_rooms, "PARTS", small)
    for path in mini_rooms.prepare(tmp_path, seed=2, nj=1):
        data = validate_data_dir(path, need=("wav.scp", "utt2group", "utt2rt60"), audio=True)
        assert len(set(data.tables["utt2group"].values())) == 2
        for utt, entry in data.wav.items():
            measured = float(data.tables["utt2rt60"][utt])
            assert measured == pytest.approx(mini_rooms.measure_rt60(read_audio(entry)), abs=0.001)
            requested = float(data.tables["utt2rt60_requested"][utt])
            assert measured == pytest.approx(requested, rel=0.2)


def test_one_process_makes_all_responses_of_a_room(tmp_path, monkeypatch):
    """It corrects the walls once, which is as much work as three responses."""
    units = []

    def recorded(call, todo, nj, **options):
        units.extend([item["id"] for item, _ in unit] for unit in todo)
        return map(call, todo)

    monkeypatch.setattr(synthesis, "unordered", recorded)
    monkeypatch.setattr(mini_rooms, "PARTS", {"dev": (2, 3, *mini_rooms.PARTS["dev"][2:])})
    mini_rooms.prepare(tmp_path, nj=2)
    assert units == [[f"dev-room{n:02d}-{m}" for m in range(3)] for n in range(2)]
    assert len(list(tmp_path.rglob("*.flac"))) == 6


def test_bits_do_not_depend_on_the_cores():
    from pyroomacoustics import constants

    at, made, here = np.array([1.0, 1.1, 1.2]), [], constants.get("num_threads")
    try:
        for cores in (1, 2, 16):
            constants.set("num_threads", cores)
            made.append(mini_rooms.image_method((3.1, 4.2, 2.5), (0.3,) * 6, 0.4, at, at + 0.7))
    finally:
        constants.set("num_threads", here)
    assert all(np.array_equal(made[0], other) for other in made[1:])
