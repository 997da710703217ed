import torch

from espnet_robust.distill.memory import Memory


def test_the_last_examples_are_kept_in_their_order():
    memory = Memory(size=4, width=2)
    assert memory.get()[0].shape == (0, 2)
    rows = torch.arange(12.0).reshape(6, 2)
    memory.add(rows[:3], torch.tensor([0, 1, 0]))
    held, labels = memory.get()
    assert held.tolist() == rows[:3].tolist() and labels.tolist() == [0, 1, 0]
    memory.add(rows[3:], torch.tensor([2, 0, 1]))
    held, labels = memory.get()
    assert held.tolist() == rows[2:].tolist() and labels.tolist() == [0, 2, 0, 1]


def test_more_examples_than_it_holds():
    memory = Memory(size=2, width=1)
    memory.add(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 1]))
    assert memory.get()[0].tolist() == [[2.0], [3.0]]


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
