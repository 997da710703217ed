"""Fetch a corpus from where it is published, check it and unpack it.

python -m espnet_robust.bin.download fsdd downloads
python -m espnet_robust.bin.download librispeech downloads dev-clean test-clean

Prints the directory for prepare_corpus CORPUS --root. Run it again after a broken transfer.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.corpora.download import PUBLISHED, download


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", choices=sorted(PUBLISHED))
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("parts", nargs="*", metavar="PART", help="such as dev-clean")
    parser.add_argument("--url", default="", help="a mirror of the archive")
    parser.add_argument("--sha256", default="", help="the archive's, instead of the published one")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    print(download(args.corpus, args.directory, args.parts, url=args.url, sha256=args.sha256))


if __name__ == "__main__":
    run(main)
