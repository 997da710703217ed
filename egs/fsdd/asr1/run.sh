#!/usr/bin/env bash
# Connected digits: strings of isolated digits by one speaker, with test speakers held out; real
# noises and rooms. All stages and options: ./run.sh --help
#
#   ./run.sh --fsdd DIR --noise DIR --rir DIR [--librispeech DIR] [--mini true] [--download true]
set -euo pipefail
cd "$(dirname "$0")"

export fsdd=                        # directory with recordings/
export librispeech=                 # distil on this, too; directory with the sets
export librispeech_train=train-mini # its sets for training and for selecting the best epoch
export librispeech_dev=dev-mini
export mini=false                   # distil on the mini corpus too (needs espeak-ng)

exec ../../TEMPLATE/asr1/asr.sh \
    --token_type word \
    --noise_source esc10 \
    --distill_set data/distill_train --distill_dev_set data/distill_dev \
    "$@"
