"""Pretrain a small HuBERT teacher on data dirs by masked prediction of k-means units.

Give one YAML per round (HuBERT, arXiv:2106.07447, section II-D); round N is written to OUT_PREFIX
followed by N. A finished round is skipped. If it was made from something else (another YAML, other
speech, noises or models), it is refused or, with --redo, made again.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.config import read_config
from espnet_robust.common.made_of import FILE


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust pretrain_teacher", description=__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        nargs="+",
        required=True,
        help="one YAML per round, as egs/mini/asr1/conf/pretrain1.yaml",
    )
    out = parser.add_mutually_exclusive_group(required=True)
    out.add_argument("--out", type=Path, help="directory of the teacher, if there is one round")
    out.add_argument(
        "--out_prefix", help="common beginning of the rounds' directories, such as exp/teacher"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s"
    )
    parser.add_argument(
        "--redo", action="store_true", help="delete a stale teacher and make it again"
    )
    parser.add_argument("data_dirs", type=Path, nargs="+", help="data dirs of clean speech")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.out and len(args.config) > 1:
        parser.error("several rounds need --out_prefix")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from espnet_robust.pretrain.config import PretrainConfig
    from espnet_robust.recipe.outputs import pretrained
    from espnet_robust.recipe.training import remove_stale

    for config in args.config:  # before anything is written: what is mended needs no --redo
        read_config(config, PretrainConfig)
    for number, config in enumerate(args.config, 1):
        out = args.out or Path(f"{args.out_prefix}{number}")
        output = pretrained(config, args.data_dirs, out)
        work = replace(output, path=out.with_name(f"{out.name}.work"))
        # The recipes' name for --out_prefix.
        keep = "or choose another output directory, --pretrain_out in a recipe, to keep it"
        options = {"redo": args.redo, "otherwise": keep}
        remove_stale(work, **options)
        if work.exists() and output.exists() and not (out / FILE).exists():
            output.remove()  # killed before it was marked as finished
        remove_stale(output, **options)
        if output.is_done():
            print(f"{out}: already done")
            continue
        from espnet_robust.pretrain.hubert import pretrain

        work.begin()
        pretrain(config, args.data_dirs, out, args.device)
        output.begin()
        output.finish(path.name for path in out.iterdir() if path.name != FILE)


if __name__ == "__main__":
    run(main)
