#!/usr/bin/env bash
# Keyword accuracy with the voices of the mini corpus: ten words, other words, silence. All options:
# ./run.sh --help
set -euo pipefail
cd "$(dirname "$0")"

exec ../../TEMPLATE/cls1/cls.sh "$@"
