"""Teacher targets on disk."""

import multiprocessing

import pytest
import torch

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.cache import TargetCache, teachers_identity
from espnet_robust.models.speech_model import load_teacher

KEY = bytes(range(16))


@pytest.fixture
def cache(tmp_path):
    return TargetCache(tmp_path, "teacher")


def test_hit_equals_what_was_put_within_fp16(cache):
    generator = torch.Generator().manual_seed(0)
    targets = {
        "4": torch.randn(50, 16, generator=generator),
        "g4-8": torch.randn(50, 16, generator=generator) * 1e-6,
    }
    assert cache.get(KEY) is None
    cache.put(KEY, targets)
    read = cache.get(KEY)
    assert read.keys() == targets.keys()
    for name, value in targets.items():
        assert read[name].dtype == torch.float32
        torch.testing.assert_close(read[name], value, rtol=2**-11, atol=1e-30)


@pytest.mark.parametrize("peak", [0.0, 1e-42, 1e-30, 1.0, 65504.0, 65536.0, 1e6, 3e38])
def test_no_value_overflows(cache, peak):
    x = torch.tensor([[peak, -peak, peak / 2]])
    cache.put(KEY, {"4": x})
    torch.testing.assert_close(cache.get(KEY)["4"], x, rtol=2**-11, atol=1e-38)


def test_nothing_but_numbers_is_kept(cache):
    cache.put(KEY, {"2": torch.ones(2, 4), "4": torch.tensor([[1.0, float("nan")]])})
    assert cache.get(KEY) is None


def test_stored_as_fp16(cache):
    cache.put(KEY, {"4": torch.zeros(1000, 16)})
    assert cache._file(KEY).stat().st_size < 2 * 16000 + 500


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_half_written_file_is_a_miss(cache, kept):
    cache.put(KEY, {"4": torch.ones(20, 4)})
    file = cache._file(KEY)
    file.write_bytes(file.read_bytes()[:kept])
    assert cache.get(KEY) is None
    cache.put(KEY, {"4": torch.ones(20, 4)})
    assert torch.equal(cache.get(KEY)["4"], torch.ones(20, 4))


def test_identity_names_all_that_decides_the_targets(teacher_dirs):
    def identity(kind="hubert_layer_norm", layers=(2, 4), precision="none", change=None):
        teacher = load_teacher(teacher_dirs[kind], [2, 4])
        if change:
            change(teacher)
        return teachers_identity([teacher], layers, precision)

    def other_weight(teacher):
        next(teacher.parameters()).flatten()[0] += 1e-6

    def other_format(teacher):
        teacher.normalize = not teacher.normalize

    def other_config(teacher):
        teacher.config.layer_norm_eps *= 2

    same = identity()
    assert identity() == same
    others = [
        identity(kind="wavlm"),
        identity(layers=(4,)),
        identity(layers=([2, 4],)),
        identity(precision="bf16"),
        *(identity(change=change) for change in (other_weight, other_format, other_config)),
    ]
    assert len({same, *others}) == 8
    teacher = load_teacher(teacher_dirs["hubert_layer_norm"], [2, 4])
    assert teachers_identity([teacher, teacher], (2, 4), "none") != same


def _write(directory, seed):
    cache = TargetCache(directory, "teacher")
    for i in range(100):
        key = i.to_bytes(16, "big")
        cache.put(key, {"4": torch.full((200, 8), float(i))})
        read = cache.get(((i * 7 + seed) % 100).to_bytes(16, "big"))
        assert read is None or bool((read["4"] == read["4"][0, 0]).all())


def test_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(tmp_path, seed)) for seed in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    cache = TargetCache(tmp_path, "teacher")
    for i in range(100):
        assert bool((cache.get(i.to_bytes(16, "big"))["4"] == i).all())
    assert not list(tmp_path.rglob("*.tmp"))


def test_unusable_directory_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        TargetCache(tmp_path / "file", "teacher")
