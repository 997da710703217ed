#!/usr/bin/env bash
# AN4 -> WER x distortion. All options: ./run.sh --help
#
#   ./run.sh --an4 DIR --noise MUSAN --rir RIRS_NOISES --noise_ood DNS --rir_ood DNS \
#       [--download true]
set -euo pipefail
cd "$(dirname "$0")"

export an4=  # directory with etc/ and wav/, of an4_sphere.tar.gz

../../TEMPLATE/asr1/asr.sh \
    --token_type char \
    --noise_source musan \
    --teacher facebook/hubert-base-ls960 \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
