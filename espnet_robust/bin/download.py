"""Download a corpus, verify its checksum and unpack it.

espnet-robust download fsdd downloads
espnet-robust download librispeech downloads dev-clean test-clean

It prints the directory for prepare_corpus CORPUS --root. If the transfer was interrupted, run it
again to resume.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.corpora.download import PUBLISHED, download


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust download", description=__doc__)
    parser.add_argument("corpus", choices=sorted(PUBLISHED), help="the corpus")
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory to unpack it in")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="such as dev-clean; default: depends on CORPUS"
    )
    parser.add_argument("--url", default="", help="a mirror of the archive")
    parser.add_argument(
        "--sha256", default="", help="checksum of the archive, instead of the published one"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    print(download(args.corpus, args.directory, args.parts, url=args.url, sha256=args.sha256))


if __name__ == "__main__":
    run(main)
