"""Show distortions of one utterance: OUT/index.html with audio players, OUT/distortions.png.

Without --config it shows every kind; noise, rooms and babble only if their data dir is given.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import DataDirError

if TYPE_CHECKING:
    from espnet_robust.distortion.chain import Distorter


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust show_distortions", description=__doc__)
    parser.add_argument("--config", type=Path, help="show this chain or protocol instead")
    parser.add_argument(
        "--draws", type=int, default=8, help="number of draws from the chain in --config"
    )
    parser.add_argument("--noise", help="data dir of noise")
    parser.add_argument("--rir", help="data dir of room impulse responses")
    parser.add_argument("--speech", help="data dir of voices for babble")
    parser.add_argument("--utt", help="id, if AUDIO is a data dir (default: its first)")
    parser.add_argument("--seed", type=int, default=0, help="seed for all draws")
    parser.add_argument("audio", type=Path, metavar="AUDIO", help="audio file or data dir")
    parser.add_argument("out", type=Path, metavar="OUT", help="directory to write to")
    return parser


def _distorters(args: argparse.Namespace) -> dict[str, "Distorter"]:
    from espnet_robust.distortion.config import given_config, load_distortion
    from espnet_robust.distortion.protocol import load_protocol
    from espnet_robust.distortion.show import examples

    if args.config is None:
        configs = examples(args.noise, args.rir, args.speech)
        have_sox = shutil.which("sox") is not None
        return {
            name: load_distortion(config)
            for name, config in configs.items()
            if have_sox or not name.startswith("sox")
        }
    given, _ = given_config(args.config)
    if isinstance(given, dict) and "conditions" in given:
        return {made.condition.name: made.distorter for made in load_protocol(args.config)}
    distorter = load_distortion(args.config)
    return {f"draw {i + 1}": distorter for i in range(args.draws)}


def _entry(args: argparse.Namespace) -> str:
    if not args.audio.is_dir():
        return str(args.audio)
    from espnet_robust.data.data_dir import read_data_dir

    data = read_data_dir(args.audio)
    utt = args.utt or data.ids[0]
    if utt not in data.wav:
        raise DataDirError(f"{args.audio}/wav.scp: no utterance {utt!r} in it")
    return data.wav[utt]


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.audio import read_audio
    from espnet_robust.distortion.show import show

    distorters = _distorters(args)
    entry = _entry(args)
    wav = read_audio(entry)
    shown = show(wav, distorters, args.out, title=f"Distortions of {entry}", seed=args.seed)
    print(f"{args.out / 'index.html'}: {len(shown)} sounds")


if __name__ == "__main__":
    run(main)
