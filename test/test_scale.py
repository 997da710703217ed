"""conf/scale/SCALE.md holds the tables that follow from the measured rates, and no others."""

from dataclasses import replace

import pytest

from espnet_robust.recipe.sizes import read_rates


@pytest.fixture(scope="module")
def scale(load_tool):
    return load_tool("scale_tables")


def test_the_page_is_what_the_rates_give(scale):
    page = scale.PAGE.read_text(encoding="utf-8")
    assert scale.with_tables(page, scale.tables(read_rates())) == page


def test_figures_by_hand(scale):
    """On one GPU at 3,600 s of audio a second, 100 h take 100 s."""
    rates = replace(read_rates(), distil_audio={"bf16": 3600.0}, worker_audio=900.0)
    row = scale.training(rates, 1)
    assert row["pass100"] == pytest.approx(100 / 3600) and row["workers"] == 4
    assert row["paper"] == pytest.approx(200_000 * 375 / 3600**2) and row["exchange"] is None
    eight = scale.training(rates, 8)
    assert eight["pass960"] == pytest.approx(960 / 8 / 3600)
    # 94 MB there and back, 76.8 times a second
    assert eight["exchange"] == pytest.approx(2 * 0.094 * 8 * 3600 / 375)
    assert scale.bottleneck(64, 30.0) != scale.bottleneck(64, 20.0) == scale.bottleneck(8, 30.0)
    assert scale.data(rates, 100)["cache"] == pytest.approx(82.944)
