#!/usr/bin/env bash
# Accuracy on nEMO: six emotions, by actors who are not in training, in sentences that are (test) and
# that are not (test_unseen); real noises and rooms. All options: ./run.sh --help
#
#   ./run.sh --nemo DIR --noise DIR --rir DIR
set -euo pipefail
cd "$(dirname "$0")"

export nemo=  # directory with data.tsv and samples/

exec ../../TEMPLATE/cls1/cls.sh \
    --noise_source esc10 \
    --test_sets "test test_unseen" \
    "$@"
