"""Skips where ESPnet3 or what it needs is not installed: ``pip install -e ".[espnet3]"``."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def espnet3():
    """ESPnet3, with Lightning and the rest."""
    try:
        import espnet3.systems.launch  # noqa: F401
        import lightning  # noqa: F401
        from espnet3.systems.esp2_asr import system  # noqa: F401
    except ImportError as e:
        pytest.skip(f"ESPnet3 needs {e.name}: pip install -e '.[espnet3]'")
