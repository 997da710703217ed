#!/usr/bin/env bash
# Accuracy on Speech Commands: keywords, other words and silence. All options: ./run.sh --help
#
#   ./run.sh --speech_commands DIR --noise DIR --rir DIR [--download true]
#   ./run.sh --speech_commands ../../../../shared/data/speech_commands --keywords bed,cat \
#       --unknown_share 0.5 --silence_share 0.5 --noise ../../../../shared/data/noise \
#       --rir ../../../../shared/data/rir
set -euo pipefail
cd "$(dirname "$0")"

export speech_commands=     # directory with one directory per word
export keywords=yes,no,up,down,left,right,on,off,stop,go
export unknown_share=0.1    # number of other words, and of silences, relative to all keywords
export silence_share=0.1

exec ../../TEMPLATE/cls1/cls.sh \
    --noise_source esc10 \
    "$@"
