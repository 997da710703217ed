from dataclasses import dataclass, field

import pytest
import yaml

from espnet_robust.common.config import from_mapping, read_yaml
from espnet_robust.common.errors import ConfigError


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
    with pytest.raises(ConfigError, match=r"^x: must be a mapping of options, got 5$"):
        from_mapping(5, Options, "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("a: 2024-02-31", "not valid YAML: day is out of range"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML: could not determine"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: key 'a' occurs twice; it is already on line 1"),
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
