import json

from espnet_robust.common.made_of import KEY, digest, is_current


def test_digest(tmp_path):
    (tmp_path / "a").write_text("x")
    before = digest(tmp_path / "a")
    (tmp_path / "a").write_text("y")
    assert len(before) == 64 and digest(tmp_path / "a") != before
    assert digest(tmp_path / "none") is None


def test_current(tmp_path):
    record = tmp_path / "decode.json"
    assert not is_current(record, {"a": 1})
    record.write_text(json.dumps({KEY: {"a": 1}, "rtf": 0.1}))
    assert is_current(record, {"a": 1}) and not is_current(record, {"a": 2})
    record.write_text('{"rtf": 0.1}')  # of an older version
    assert not is_current(record, {"a": 1})
    record.write_text("{")
    assert not is_current(record, {"a": 1})
