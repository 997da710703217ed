#!/usr/bin/env bash
# Intent accuracy on Fluent Speech Commands: action, object and location must all be right. All
# options: ./run.sh --help
#
#   ./run.sh --fluent_speech_commands DIR --musan DIR --wham DIR --fsd50k DIR --dns DIR
set -euo pipefail
cd "$(dirname "$0")"

export fluent_speech_commands=  # directory with data/train_data.csv and wavs/

exec ../../TEMPLATE/cls1/cls.sh \
    --label utt2intent \
    --noise_source paper \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
