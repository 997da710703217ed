#!/usr/bin/env bash
# nEMO -> data/{train,dev,test,test_unseen}; options go to prepare_corpus.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154  # an option of run.sh
prepare nemo "${nemo}" --out data "$@"
