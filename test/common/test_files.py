"""Files that are whole or absent, also when several hosts write the same one."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from espnet_robust.common.files import temporary_beside, write_atomic

TEXTS = ("a" * 100_000, "b" * 10)


def test_two_with_the_same_process_id_write_the_same_file(tmp_path, monkeypatch):
    """As on two hosts or in two containers; each is done writing before either renames."""
    both, replace = threading.Barrier(2), os.replace

    def wait_and_replace(old, new):
        both.wait(timeout=30)
        replace(old, new)

    monkeypatch.setattr(os, "replace", wait_and_replace)
    path = tmp_path / "targets"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: write_atomic(path, text), TEXTS))  # neither fails
    assert path.read_text() in TEXTS
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_names_differ_and_are_hidden_beside_the_file(tmp_path):
    names = {temporary_beside(tmp_path / "x", kind) for kind in ("tmp", "old") for _ in range(50)}
    assert len(names) == 100
    assert {path.parent for path in names} == {tmp_path}
    assert all(path.name.startswith(".x.") for path in names)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_a_file_has_the_permissions_that_umask_allows(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "x", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError("the disk fails")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk fails"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
