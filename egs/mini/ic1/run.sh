#!/usr/bin/env bash
# Intent accuracy (action, object and location must all be right) on the mini corpus's smart-home
# commands. All options: ./run.sh --help
set -euo pipefail
cd "$(dirname "$0")"

exec ../../TEMPLATE/cls1/cls.sh \
    --label utt2intent \
    --classifier blstm \
    "$@"
