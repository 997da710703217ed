"""Write Kaldi data dirs for a corpus.

python -m espnet_robust.bin.prepare_corpus --list
python -m espnet_robust.bin.prepare_corpus mini --seed 0 --out data
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.corpora import CORPORA


def get_parser(names: Sequence[str] = CORPORA) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write Kaldi data dirs for a corpus.")
    parser.add_argument("--list", action="store_true", help="print the known corpora and exit")
    corpora = parser.add_subparsers(dest="corpus", metavar="CORPUS")
    for name in names:
        module = import_module(f"espnet_robust.corpora.{name}")
        sub = corpora.add_parser(
            name,
            help=_summary(module),
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--out", type=Path, default=Path("data"), help="(default: data)")
        module.add_arguments(sub)
    return parser


def _summary(module) -> str:
    return module.__doc__.strip().splitlines()[0]


def main(cmd: Sequence[str] | None = None) -> None:
    cmd = sys.argv[1:] if cmd is None else cmd
    # Only the corpus asked for is imported: some need SciPy, which takes most of a second.
    parser = get_parser(cmd[:1] if cmd and cmd[0] in CORPORA else CORPORA)
    options = vars(parser.parse_args(cmd))
    name, listing = options.pop("corpus"), options.pop("list")
    if listing:
        for corpus in CORPORA:
            print(f"{corpus:24s}{_summary(import_module(f'espnet_robust.corpora.{corpus}'))}")
        return
    if name is None:
        parser.error("name a corpus, or --list")
    prepare = import_module(f"espnet_robust.corpora.{name}").prepare
    for data_dir in prepare(options.pop("out"), **options):
        number = sum(1 for _ in (data_dir / "wav.scp").open(encoding="utf-8"))
        print(f"{data_dir}: {number} recordings")


if __name__ == "__main__":
    run(main)
