#!/usr/bin/env bash
# Fluent Speech Commands -> data/{train,dev,test}; options go to prepare_corpus.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154  # an option of run.sh
prepare fluent_speech_commands "${fluent_speech_commands}" --out data "$@"
