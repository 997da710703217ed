#!/usr/bin/env bash
# AN4 -> data/{train,dev,test}; options go to prepare_corpus.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154  # an option of run.sh
prepare an4 "${an4}" --out data "$@"
