"""What the tests of the plugin share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

SAMPLES = 8000


@pytest.fixture(scope="session")
def speech_and_text(tmp_path_factory) -> Path:
    """Four utterances of noise, half a second each: wav.scp, text and shape."""
    out = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(0)
    tables = {"wav.scp": [], "text": [], "shape": []}
    for i, text in enumerate(["AB", "BA", "A", "B"]):
        soundfile.write(out / f"u{i}.wav", 0.1 * rng.standard_normal(SAMPLES), 16000)
        for table, value in zip(tables, (out / f"u{i}.wav", text, SAMPLES), strict=True):
            tables[table].append(f"u{i} {value}\n")
    for table, lines in tables.items():
        (out / table).write_text("".join(lines))
    return out
