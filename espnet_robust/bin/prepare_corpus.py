"""Write Kaldi data dirs for a corpus.

espnet-robust prepare_corpus --list
espnet-robust prepare_corpus mini --seed 0 --out data
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from espnet_robust.common.cli import Parser, run, summary
from espnet_robust.corpora import CORPORA


def get_parser(name: str = "") -> argparse.ArgumentParser:
    """The parser; only the corpus ``name`` is imported and adds its options."""
    parser = Parser(prog="espnet-robust prepare_corpus", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the known corpora and exit")
    corpora = parser.add_subparsers(dest="corpus", metavar="CORPUS")
    for corpus in CORPORA:
        module = f"espnet_robust.corpora.{corpus}"
        sub = corpora.add_parser(corpus, help=summary(module))
        if corpus == name:
            sub.description = import_module(module).__doc__
            sub.add_argument("--out", type=Path, default=Path("data"), help="(default: data)")
            import_module(module).add_arguments(sub)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    cmd = sys.argv[1:] if cmd is None else cmd
    parser = get_parser(next((word for word in cmd if word in CORPORA), ""))
    options = vars(parser.parse_args(cmd))
    name, listing = options.pop("corpus"), options.pop("list")
    if listing:
        for corpus in CORPORA:
            print(f"{corpus:24s}{summary(f'espnet_robust.corpora.{corpus}')}")
        return
    if name is None:
        parser.error("name a corpus, or --list")
    prepare = import_module(f"espnet_robust.corpora.{name}").prepare
    for data_dir in prepare(options.pop("out"), **options):
        number = sum(1 for _ in (data_dir / "wav.scp").open(encoding="utf-8"))
        print(f"{data_dir}: {number} recordings")


if __name__ == "__main__":
    run(main)
