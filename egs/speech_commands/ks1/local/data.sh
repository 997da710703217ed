#!/usr/bin/env bash
# Speech Commands -> data/{train,dev,test}. Variables are options of run.sh; the options here go to
# prepare_corpus speech_commands.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154
prepare speech_commands "${speech_commands}" --keywords "${keywords}" \
    --unknown_share "${unknown_share}" --silence_share "${silence_share}" --out data "$@"
