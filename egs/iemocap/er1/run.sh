#!/usr/bin/env bash
# IEMOCAP: four emotions, five folds by session; accuracy of each fold and their mean. All options:
# ./run.sh --help
#
#   ./run.sh --iemocap DIR --noise MUSAN --rir RIRS_NOISES --noise_ood DNS --rir_ood DNS
#   ./run.sh --iemocap DIR ... --folds 3    # one fold
set -euo pipefail
cd "$(dirname "$0")"

export iemocap=  # directory with Session1 ... Session5

../../TEMPLATE/cls1/cls.sh \
    --folds "1 2 3 4 5" \
    --noise_source musan \
    --teacher facebook/hubert-base-ls960 \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
