"""Pretrain a small HuBERT teacher on data dirs by masked prediction of k-means units.

Give one YAML for each round (HuBERT, arXiv:2106.07447, section II-D); round N is written to
OUT_PREFIX followed by N. Finished rounds are skipped; a round that another configuration made is an
error.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust pretrain_teacher", description=__doc__)
    parser.add_argument(
        "--config", type=Path, nargs="+", required=True, help="YAML, see PretrainConfig"
    )
    out = parser.add_mutually_exclusive_group(required=True)
    out.add_argument("--out", type=Path, help="directory of the teacher, of one round")
    out.add_argument("--out_prefix", help="of the directories of all rounds, such as exp/teacher")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s"
    )
    parser.add_argument("data_dirs", type=Path, nargs="+", help="data dirs of clean speech")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.out and len(args.config) > 1:
        parser.error("several rounds need --out_prefix")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from espnet_robust.pretrain.hubert import pretrain

    for number, config in enumerate(args.config, 1):
        out = args.out or Path(f"{args.out_prefix}{number}")
        pretrain(config, args.data_dirs, out, args.device)


if __name__ == "__main__":
    run(main)
