#!/usr/bin/env bash
# Accuracy on IEMOCAP: four emotions, five folds by session, and the mean over folds. All options:
# ./run.sh --help
#
#   ./run.sh --iemocap DIR --musan DIR --wham DIR --fsd50k DIR --dns DIR
#   ./run.sh --iemocap DIR ... --folds 3    # one fold
set -euo pipefail
cd "$(dirname "$0")"

export iemocap=  # directory with Session1 ... Session5

exec ../../TEMPLATE/cls1/cls.sh \
    --folds "1 2 3 4 5" \
    --noise_source paper \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
