import subprocess
import sys

from espnet_robust.distortion import rng_for


def test_draws_depend_on_each_of_the_four_and_nothing_else():
    def first(*args):
        return rng_for(*args).integers(2**62)

    keys = [(0, "a", 0, "student"), (1, "a", 0, "student"), (0, "b", 0, "student")]
    keys += [(0, "a", 1, "student"), (0, "a", 0, "teacher")]
    assert len({first(*key) for key in keys}) == len(keys)
    assert [first(*key) for key in keys] == [first(*key) for key in reversed(keys)][::-1]


def test_sums_of_seed_and_epoch_do_not_collide():
    draws = {rng_for(s, "a", e).integers(2**62) for s in range(20) for e in range(20)}
    assert len(draws) == 400


def test_the_same_in_every_process():
    code = "from espnet_robust.distortion import rng_for; print(rng_for(3, 'é', 2).integers(2**62))"
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outs == {b"%d\n" % rng_for(3, "é", 2).integers(2**62)}
