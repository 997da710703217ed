#!/usr/bin/env bash
# Word error rate on nEMO, Polish emotional speech: unseen actors say sentences of the training set
# (test) and others (test_unseen); real noises and rooms. All options: ./run.sh --help
#
#   ./run.sh --nemo DIR --noise DIR --rir DIR
set -euo pipefail
cd "$(dirname "$0")"

export nemo=  # directory with data.tsv and samples/

exec ../../TEMPLATE/asr1/asr.sh \
    --token_type char \
    --noise_source esc10 \
    --test_sets "test test_unseen" \
    "$@"
