#!/usr/bin/env bash
# CHiME-4, one channel: speech recorded in a bus, a cafe, a pedestrian area and a street, and
# simulated there -> WER x environment. All options: ./run.sh --help
#
#   ./run.sh --chime4 DIR --noise MUSAN --rir RIRS_NOISES --noise_ood DNS --rir_ood DNS
set -euo pipefail
cd "$(dirname "$0")"

export chime4=  # CHiME3's directory, with data/audio and data/transcriptions

../../TEMPLATE/asr1/asr.sh \
    --protocol none \
    --token_type char \
    --noise_source musan \
    --teacher facebook/hubert-base-ls960 \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
