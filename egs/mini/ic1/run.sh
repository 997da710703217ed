#!/usr/bin/env bash
# Intent (action, object, location) of the mini corpus's smart-home commands, all slots right or
# wrong. All options: ./run.sh --help
set -euo pipefail
cd "$(dirname "$0")"

exec ../../TEMPLATE/cls1/cls.sh \
    --label utt2intent \
    --classifier blstm \
    "$@"
