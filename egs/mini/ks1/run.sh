#!/usr/bin/env bash
# Keywords by the voices of the mini corpus: ten words, others, silence; accuracy. All options:
# ./run.sh --help
set -euo pipefail
cd "$(dirname "$0")"

exec ../../TEMPLATE/cls1/cls.sh "$@"
