#!/usr/bin/env bash
# Word error rates on AN4, by distortion. All options: ./run.sh --help
#
#   ./run.sh --an4 DIR --musan DIR --wham DIR --fsd50k DIR --dns DIR \
#       [--download true]
set -euo pipefail
cd "$(dirname "$0")"

export an4=  # directory with etc/ and wav/, of an4_sphere.tar.gz

exec ../../TEMPLATE/asr1/asr.sh \
    --token_type char \
    --noise_source paper \
    --budget paper --ngpu 1 --nj 1 \
    "$@"
