#!/usr/bin/env bash
# Word error rates on CHiME-4, one channel: speech recorded in a bus, a cafe, a pedestrian area and a
# street, and simulated for these places. All options: ./run.sh --help
#
#   ./run.sh --chime4 DIR --musan DIR --wham DIR
set -euo pipefail
cd "$(dirname "$0")"

export chime4=  # directory CHiME3, with data/audio and data/transcriptions

exec ../../TEMPLATE/asr1/asr.sh \
    --protocol none \
    --token_type char \
    --noise_source paper_train \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
