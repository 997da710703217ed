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
    ("content", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("a: 2024-02-31", "not valid YAML: day is out of range"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML: could not determine"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: key 'a' occurs twice; it is in line 1 already"),
        ("c:\n- {yes: 1, true: 2}\n", "x.yaml:2: key 'true' occurs twice"),
        ("a: &x {b: *x}", "x.yaml:1: contains itself"),
        ("a: 1\nb: &x\n- [*x]\n", "x.yaml:2: contains itself"),
        ("a: " + "[" * 3000, "nested too deeply"),
        (b"a: \xff", "not UTF-8"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as e:
        read_yaml(tmp_path / "x.yaml")
    assert "\n" not in str(e.value)


def test_aliases_and_merges_are_no_mistakes(tmp_path):
    text = "base: &b {x: 1, y: &l [1]}\nown: {<<: *b, x: 2}\nagain: [*b, *b, *l]\n"
    (tmp_path / "x.yaml").write_text(text)
    assert read_yaml(tmp_path / "x.yaml") == yaml.safe_load(text)


def test_missing_file(tmp_path):
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
