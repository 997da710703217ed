import subprocess
import sys

import pytest
import typeguard

CHECK = """\
{first}
import typeguard
from espnet2.asr.encoder.linear_encoder import LinearEncoder

@typeguard.typechecked
def ours(x: int) -> int:
    return x

for call in (lambda: LinearEncoder(input_size="no number", output_size=4), lambda: ours("a")):
    try:
        call()
    except Exception as e:
        print(type(e).__name__)
"""


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("first", "of_espnet"),
    [
        ("import espnet_robust.plugin.quick_start", "TypeError"),
        ("import espnet_robust", "TypeCheckError"),
    ],
)
def test_only_commands_and_only_espnet_lose_type_checks(tmp_path, first, of_espnet):
    script = tmp_path / "check.py"  # a file, because typeguard reads the source
    script.write_text(CHECK.format(first=first))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [of_espnet, "TypeCheckError"]


def test_decorator_with_options_still_decorates():
    @typeguard.typechecked(collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS)
    def ours(x: list[int]) -> None:
        pass

    with pytest.raises(typeguard.TypeCheckError):
        ours([1, "a"])
