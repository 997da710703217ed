"""Which product linear layers use: the measurement, what a training keeps, what can be forced."""

import json

import pytest
import torch

from espnet_robust.common.errors import ConfigError
from espnet_robust.models.onednn import choice
from espnet_robust.models.onednn.choice import FORCED, ONEDNN, TORCH, current, recall, settle


@pytest.fixture(autouse=True)
def undecided(monkeypatch):
    """A process that has not chosen yet."""
    monkeypatch.setattr(choice, "_current", None)
    monkeypatch.setattr(choice, "AVAILABLE", True)
    monkeypatch.delenv(FORCED, raising=False)


@pytest.fixture
def measured(monkeypatch):
    """measured(onednn, torch): the rates that are measured from now on; counts measurements."""
    calls = []

    def measured(ours: float, theirs: float) -> list[int]:
        monkeypatch.setattr(choice, "measure", lambda: calls.append(1) or (ours, theirs))
        return calls

    return measured


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (235, 106, ONEDNN),
        (128, 148, TORCH),
        (140, 130, TORCH),
        (91, 75, TORCH),
        (160, 100, ONEDNN),
    ],
)
def test_onednn_if_it_is_clearly_faster(measured, ours, theirs, kind):
    calls = measured(ours, theirs)
    assert current().kind == kind and current() is current()
    assert len(calls) == 1
    assert f"{kind} (oneDNN {ours}, torch {theirs} GFLOP/s a core)" in str(current())


def test_without_onednn(measured, monkeypatch):
    calls = measured(2, 1)
    monkeypatch.setattr(choice, "AVAILABLE", False)
    assert current().kind == TORCH and not calls


@pytest.mark.skipif(not choice.AVAILABLE, reason="torch without oneDNN and MKL")
def test_the_measurement_is_of_real_products_and_draws_nothing():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    rates = choice.measure()
    assert all(0.1 < rate < 1e5 for rate in rates)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_is_resumed_with_what_it_was_begun_with(measured, tmp_path, monkeypatch):
    measured(200, 100)
    assert settle(tmp_path).kind == ONEDNN
    record = (tmp_path / "linear.json").read_text()
    assert "GFLOP" in json.loads(record)["why"]
    for use in (settle, recall):  # later, on another machine
        monkeypatch.setattr(choice, "_current", None)
        calls = measured(100, 200)
        calls.clear()
        use(tmp_path)
        assert current().kind == ONEDNN and not calls
        assert str(tmp_path / "linear.json") in str(current())
    assert (tmp_path / "linear.json").read_text() == record


def test_each_process_of_a_training_keeps_its_own(measured, tmp_path, monkeypatch):
    measured(200, 100)
    settle(tmp_path)
    monkeypatch.setattr(choice, "_current", None)
    measured(100, 200)
    assert settle(tmp_path, rank=1).kind == TORCH
    assert settle(tmp_path).kind == ONEDNN


def test_forced(measured, tmp_path, monkeypatch):
    calls = measured(200, 100)
    monkeypatch.setenv(FORCED, TORCH)
    assert settle(tmp_path).kind == TORCH and not calls
    monkeypatch.setenv(FORCED, ONEDNN)
    with pytest.raises(ConfigError, match="this training was begun with torch .*unset ESPNET_ROBU"):
        settle(tmp_path)
    monkeypatch.setattr(choice, "_current", None)
    recall(tmp_path)  # decoding may differ
    assert current().kind == ONEDNN
    monkeypatch.setenv(FORCED, "mkl")
    with pytest.raises(ConfigError, match="ESPNET_ROBUST_LINEAR=mkl: need onednn or torch"):
        settle(tmp_path)


def test_a_damaged_record(tmp_path):
    (tmp_path / "linear.json").write_text('{"kind": "mkl"}')
    for use in (settle, recall):
        with pytest.raises(ConfigError, match="linear.json: kind 'mkl' is not onednn or torch"):
            use(tmp_path)
    recall(tmp_path / "elsewhere")
