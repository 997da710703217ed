"""Upload packed systems, made by `espnet-robust pack`, to the hub.

EXP is exp/BUDGET/SYSTEM_seedN. Each of its models gets a repository, USER/NAME-SYSTEM_seedN-asr (or
-cls) and -student. To resume an interrupted upload, run the command again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust upload", description=__doc__)
    parser.add_argument(
        "--upload_hf", required=True, metavar="USER/NAME", help="first part of the repository names"
    )
    parser.add_argument("--private", action="store_true", help="make repositories private")
    parser.add_argument("exp", type=Path, nargs="+", metavar="EXP", help="packed systems")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.publish.hub import check_repo, check_repo_of, upload
    from espnet_robust.publish.repos import check_packed, packed_folders

    check_repo(args.upload_hf)
    found = {exp: packed_folders(args.upload_hf, exp) for exp in args.exp}
    for folders in found.values():  # all of them before any is sent
        for _, repo in folders:
            check_repo_of(args.upload_hf, repo)
    for exp, folders in found.items():
        check_packed(exp)
        for folder, repo in folders:
            print(f"{folder} -> {upload(folder, repo, args.private)}")


if __name__ == "__main__":
    run(main)
