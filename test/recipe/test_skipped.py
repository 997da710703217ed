"""The other systems of an experiment, whose configuration may have gone, and its table."""

from pathlib import Path

import pytest

from espnet_robust.bin import list_systems
from espnet_robust.common.errors import UserError
from espnet_robust.recipe.outputs import Outputs
from test.recipe.conftest import SYSTEMS

GIVEN = ["--task", "asr", "--exp", "exp/tiny", "--budget", "tiny", "--tokens", "data/tokens",
         "--protocols", "protocol.yaml", "--dev_distortion", "dev_mixture.yaml"]  # fmt: skip
NOISE = "distortion: {chain: [{name: noise, noise: data/gone, snr_db: 10}]}\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "unknown system 'mine': there is no mine.yaml"),
        ("base: cdm1\nsed: [\n", "not valid YAML"),
        ("base: cdm1\nteacher: ./gone\n", "teacher ./gone: no directory here"),
        (f"base: cdm1\n{NOISE}", "data/gone: no such data dir"),
    ],
)
def test_a_left_over_system_is_left_out(recipe, capsys, content, reason):
    run = recipe()
    run()
    for system in SYSTEMS:
        for output in Outputs(run.plan).scored(system, "0"):
            output.begin()
            (output.path / "scores.json").write_text("{}")
            output.finish(["scores.json"])
    Path("exp/tiny/mine_seed0").mkdir()
    Path("exp/tiny/mine_seed0/scores.json").write_text("{}")
    if content:
        Path("conf/distill").mkdir()
        Path("conf/distill/mine.yaml").write_text(content)
    capsys.readouterr()  # what the trainings said
    list_systems.main([*GIVEN, "--systems", "teacher"])
    printed = capsys.readouterr()
    assert printed.out.split() == ["teacher", "cdm1"]
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith("mine is left out of the table: ") and reason in printed.err
    # Whoever names it wants it in the table.
    with pytest.raises(UserError) as e:
        list_systems.main([*GIVEN, "--systems", "teacher mine"])
    assert reason in str(e.value) and not capsys.readouterr().out
