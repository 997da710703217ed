from dataclasses import dataclass, field

import pytest

from espnet_robust.config import from_mapping, read_yaml
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
