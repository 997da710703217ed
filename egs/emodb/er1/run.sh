#!/usr/bin/env bash
# Accuracy on EMO-DB: four emotions, five folds of two speakers each, and the mean over folds; real
# noises and rooms. All options: ./run.sh --help
#
#   ./run.sh --emodb DIR --noise DIR --rir DIR
#   ./run.sh --emodb DIR ... --folds 3    # one fold
set -euo pipefail
cd "$(dirname "$0")"

export emodb=  # directory with wav/

exec ../../TEMPLATE/cls1/cls.sh \
    --folds "1 2 3 4 5" \
    --noise_source esc10 \
    "$@"
