#!/usr/bin/env python3
"""The tables of conf/scale/SCALE.md, computed from the measured rates of conf/scale/rates.yaml.

python tools/scale_tables.py            # prints them
python tools/scale_tables.py --write    # puts them into SCALE.md
"""

import argparse
import re
from pathlib import Path

from markdown_table import table

from espnet_robust.recipe.sizes import FRAMES_A_SECOND, GB, HIDDEN, Rates, read_rates

PAGE = Path(__file__).parents[1] / "conf/scale/SCALE.md"
HOURS, GPUS = (100, 960, 60_000), (1, 8, 64)
STEPS = 200_000  # of conf/budget/paper.yaml
BATCH = 6_000_000 / 16_000  # s of audio, of all GPUs together: batch_bins
STUDENT_BYTES = 23.5e6 * 4
UTTERANCE = 12.3  # s, of LibriSpeech's training sets
TEST_HOURS, CONDITIONS = 10.5, 31  # test-clean and test-other; conf/noise/paper.yaml
TARGETS = 3  # layers
LINK = 25.0  # GB/s of a node's network, 200 Gbit/s: nominal
NODE = 8  # GPUs; what they exchange within one is not counted


def training(rates: Rates, gpus: int) -> dict[str, object]:
    """What distillation in bf16 takes on so many GPUs, if all of them keep busy."""
    speed = gpus * rates.distil_audio["bf16"]
    steps = speed / BATCH
    exchange = 2 * STUDENT_BYTES * steps / GB
    workers = speed / rates.worker_audio
    row = {f"pass{hours}": hours * 3600 / speed / 3600 for hours in HOURS}
    return row | {
        "gpus": gpus,
        "paper": STEPS * BATCH / speed / 3600,
        "workers": workers,
        "reading": speed * rates.speech_bytes / 1e6,
        "exchange": exchange if gpus > 1 else None,
        "memory": rates.memory_gb("bf16", BATCH / gpus),
        "bottleneck": bottleneck(gpus, exchange),
    }


def bottleneck(gpus: int, exchange: float) -> str:
    """What gives way first, of what was looked at."""
    if gpus > NODE and exchange > LINK:
        return "exchange of gradients, unless each GPU has a batch of its own"
    return "the GPU" if gpus == 1 else "cores for distortion, if fewer"


def data(rates: Rates, hours: int) -> dict[str, object]:
    """What the stages before distillation take, on one core."""
    return {
        "hours": hours,
        "utterances": hours * 3600 / UTTERANCE,
        "stage1": hours * 3600 / UTTERANCE / rates.core_utterances / 3600,
        "copies": TEST_HOURS * CONDITIONS / rates.core_copy_audio,
        "copies_gb": TEST_HOURS * CONDITIONS * 3600 * rates.copy_bytes / GB,
        "cpu_pass": hours / rates.core_distil_audio,
        "cache": hours * 3600 * FRAMES_A_SECOND * HIDDEN * TARGETS * 2 / GB,
    }


TRAINING = {
    "gpus": ("GPUs", "d"),
    **{f"pass{hours}": (f"a pass over {hours:,} h, h", ",.2g") for hours in HOURS},
    "paper": (f"{STEPS:,} steps, h", ".2g"),
    "memory": ("GB a GPU", ".2g"),
    "workers": ("processes that distort", ".0f"),
    "reading": ("reading, MB/s", ",.0f"),
    "exchange": ("exchange, GB/s", ".3g"),
    "bottleneck": ("bottleneck", ""),
}
DATA = {
    "hours": ("hours", ",d"),
    "utterances": ("utterances", ",.0f"),
    "stage1": ("stage 1, core hours", ".2g"),
    "copies": ("copies of the test sets, core hours", ".2g"),
    "copies_gb": ("copies, GB", ".2g"),
    "cpu_pass": ("a pass of distillation in fp32, core hours", ",.3g"),
    "cache": ("cached targets, GB", ",.3g"),
}


def tables(rates: Rates) -> dict[str, str]:
    return {
        "training": table([training(rates, gpus) for gpus in GPUS], TRAINING),
        "data": table([data(rates, hours) for hours in HOURS], DATA),
    }


def with_tables(page: str, made: dict[str, str]) -> str:
    """The page with what stands between its marks replaced."""
    for name, text in made.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert block.search(page), name
        page = block.sub(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    made = tables(read_rates())
    if parser.parse_args().write:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
