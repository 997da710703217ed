from dataclasses import dataclass, field

import pytest
import yaml

from espnet_robust.bin import merge_config
from espnet_robust.config import from_mapping, merge, read_layer, read_yaml
from espnet_robust.errors import ConfigError


@dataclass(frozen=True)
class Options:
    size: int
    rate: float = 1.0
    names: list = field(default_factory=list)

    def __post_init__(self):
        if self.size < 0:
            raise ConfigError("size: must not be negative")


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as e:
        from_mapping({"sise": 1, "xyzzy": 2}, Options, "a.yaml")
    message = str(e.value)
    assert message.startswith("a.yaml: ") and "\n" not in message
    assert "did you mean 'size'" in message
    assert "'xyzzy'; known: size, rate, names" in message
    assert "missing key 'size'" in message


def test_what_the_class_refuses_names_the_file():
    assert from_mapping({"size": 2}, Options, "a.yaml") == Options(2)
    with pytest.raises(ConfigError, match=r"a\.yaml: size: must not"):
        from_mapping({"size": -1}, Options, "a.yaml")


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "not valid YAML"), ("- 1", "expected a mapping")]
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_layers():
    base = {"a": 1, "conf": {"x": 1, "y": [1, 2]}}
    assert merge(base, {"conf": {"y": [3]}, "b": 2}) == {
        "a": 1,
        "b": 2,
        "conf": {"x": 1, "y": [3]},
    }
    assert base == {"a": 1, "conf": {"x": 1, "y": [1, 2]}}


def test_sections(tmp_path):
    path = tmp_path / "budget.yaml"
    path.write_text("asr: {max_epoch: 2}\n")
    assert read_layer(f"{path}:asr") == {"max_epoch": 2}
    with pytest.raises(ConfigError, match="no section 'cls'; it has asr"):
        read_layer(f"{path}:cls")


def test_a_variant_is_laid_over_its_base(tmp_path):
    (tmp_path / "a.yaml").write_text("{x: 1, conf: {y: 2, z: 3}}\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b.yaml").write_text("{base: ../a.yaml, conf: {y: 4}}\n")
    assert read_layer(f"{tmp_path}/below/b.yaml") == {"x": 1, "conf": {"y": 4, "z": 3}}
    (tmp_path / "adapt.yaml").write_text("{x: 5, conf: {y: 6, z: 7}}\n")
    adapt = [f"{tmp_path}/adapt.yaml"]
    assert read_layer(f"{tmp_path}/below/b.yaml", adapt) == {"x": 5, "conf": {"y": 4, "z": 7}}
    assert read_layer(f"{tmp_path}/a.yaml", adapt) == {"x": 5, "conf": {"y": 6, "z": 7}}
    (tmp_path / "below/b.yaml").write_text("{base: b.yaml}\n")
    with pytest.raises(ConfigError, match=r"b\.yaml: base .*b\.yaml has a base itself"):
        read_layer(f"{tmp_path}/below/b.yaml")
    (tmp_path / "below/b.yaml").write_text("{base: none.yaml}\n")
    with pytest.raises(ConfigError, match=r"below/none\.yaml: cannot be read"):
        read_layer(f"{tmp_path}/below/b.yaml")


def test_an_experiment_keeps_its_configuration(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\n")
    command = [str(tmp_path / "a.yaml"), "--out", str(tmp_path / "exp/train.yaml")]
    merge_config.main(command)
    merge_config.main(command)
    (tmp_path / "a.yaml").write_text("x: 2\n")
    with pytest.raises(ConfigError, match="begun with another configuration"):
        merge_config.main(command)
    assert yaml.safe_load((tmp_path / "exp/train.yaml").read_text()) == {"x": 1}


def test_shipped_budgets_and_systems_agree(root):
    """OneCycle needs the number of steps beforehand: it must be that of the epochs."""
    full = [(path, read_yaml(path)) for path in (root / "conf/distill").glob("*.yaml")]
    budgets = [
        (path, section)
        for path in [*root.glob("conf/budget/*.yaml"), *root.glob("egs/*/*/conf/budget/*.yaml")]
        for section in read_yaml(path).values()
    ]
    assert len(full) >= 4 and len(budgets) >= 6
    for path, config in full + budgets:
        steps = config["max_epoch"] * config["num_iters_per_epoch"]
        assert config["scheduler_conf"]["total_steps"] == steps, path
