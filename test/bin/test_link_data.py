import pytest

from espnet_robust.bin.link_data import link_data
from espnet_robust.common.errors import UserError


def test_a_link_that_stays(tmp_path):
    for _ in range(2):
        link_data(tmp_path / "data", tmp_path / "big/disk")
    (tmp_path / "data/train").mkdir()
    assert (tmp_path / "big/disk/train").is_dir()
    with pytest.raises(UserError, match="data already exists and is not a link to it; fix: mkdir"):
        link_data(tmp_path / "data", tmp_path / "other")


def test_data_that_is_there(tmp_path):
    (tmp_path / "data/train").mkdir(parents=True)
    with pytest.raises(UserError) as refusal:
        link_data(tmp_path / "data", tmp_path / "big")
    assert "fix: mkdir -p" in str(refusal.value)


def test_a_directory_inside(tmp_path):
    with pytest.raises(UserError, match="data/deep: it is inside .*data, which is to"):
        link_data(tmp_path / "data", tmp_path / "data/deep")
    assert not (tmp_path / "data").exists()
