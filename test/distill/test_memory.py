import pytest
import torch

from espnet_robust.distill.memory import Memory


def test_the_last_examples_of_each_side_are_kept_in_their_order():
    memory = Memory(size=4, width=2)
    assert memory.get()[0].shape == (0, 2)
    rows = torch.arange(12.0).reshape(6, 2)
    memory.add(rows[:3], torch.tensor([0, 1, 0]))
    held, labels = memory.get()
    assert held.tolist() == rows[:3].tolist() and labels.tolist() == [0, 1, 0]
    memory.add(rows[3:], torch.tensor([0, 0, 1]))
    held, labels = memory.get()
    assert held.tolist() == rows[[1, 3, 4, 5]].tolist() and labels.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("number", [4, 5, 100, 1000])
def test_both_sides_are_held_however_large_a_batch_is(number):
    """Of a larger batch, the same rows of both sides, from all over it."""
    memory = Memory(size=9, width=1)
    rows = torch.arange(2.0 * number)[:, None]
    memory.add(torch.tensor([[-1.0], [-2.0]]), torch.tensor([0, 1]))
    memory.add(rows[:number], torch.zeros(number))
    memory.add(rows[number:], torch.ones(number))
    held, labels = memory.get()
    assert labels.tolist() == [0] * 4 + [1] * 4
    wanted = [i * number // 4 for i in range(4)]
    assert held[:4, 0].tolist() == wanted
    assert (held[4:, 0] - number).tolist() == wanted


def test_a_memory_saved_when_it_could_hold_one_side_only_is_mended_by_the_next_batch():
    memory = Memory(size=4, width=1)
    old = {"rows": torch.arange(4.0)[:, None], "labels": torch.ones(4)}
    memory.load_state_dict(old)
    memory.add(torch.tensor([[7.0], [8.0]]), torch.tensor([0, 1]))
    held, labels = memory.get()
    assert held[:, 0].tolist() == [3, 7, 8] and labels.tolist() == [1, 0, 1]


def test_it_holds_no_graph_and_is_saved_as_floats():
    memory = Memory(size=2, width=1)
    memory.add(torch.ones(2, 1, requires_grad=True) * 2, torch.tensor([0, 1]))
    saved = memory.state_dict()
    # Integers would be added up where ESPnet averages checkpoints.
    assert {value.dtype for value in saved.values()} == {torch.float32}
    other = Memory(size=2, width=1)
    other.load_state_dict(saved)
    assert other.get()[0].tolist() == [[2.0], [2.0]] and not other.get()[0].requires_grad
    assert not list(memory.parameters())
