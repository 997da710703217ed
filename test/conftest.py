"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No test may reach a network: a model that is not on disk is an error at once, not a download.
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples in each run, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Small real corpora beside the checkout; skips the test where there are none."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return path
