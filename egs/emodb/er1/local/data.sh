#!/usr/bin/env bash
# A fold of EMO-DB -> data/foldN_{train,dev,test}; options go to prepare_corpus.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154  # an option of run.sh; the driver sets fold
prepare emodb "${emodb}" --folds "${fold}" --out data "$@"
