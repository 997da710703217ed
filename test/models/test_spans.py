"""Masked spans: how much they cover, and how long they are."""

import numpy as np
import pytest

from espnet_robust.models.spans import counted_spans, independent_spans


def test_the_number_of_counted_spans_is_right_on_average():
    rng = np.random.default_rng(0)
    # 0.05 * 100 / 4 = 1.25 spans of 4 frames: always one or two, which may overlap.
    covered = [int(counted_spans(rng, 100, 0.05, 4).sum()) for _ in range(2000)]
    assert min(covered) >= 4 and max(covered) == 8
    assert np.mean(covered) == pytest.approx(1.25 * 4, abs=0.1)


def test_a_counted_span_leaves_half_of_the_frames():
    rng = np.random.default_rng(0)
    assert counted_spans(rng, 6, 0.5, 10).sum() == 3
    assert not counted_spans(rng, 1, 1.0, 10).any()
    assert counted_spans(rng, 8, 1.0, 1).all()


def test_independent_spans():
    rng = np.random.default_rng(0)
    mask = independent_spans(rng, (400, 500), 0.065, 10)
    # A frame escapes when none of the 10 frames up to it starts a span.
    assert mask[:, 10:].mean() == pytest.approx(1 - (1 - 0.065) ** 10, abs=0.01)
    assert independent_spans(rng, (2, 3), 1.0, 10).all()
