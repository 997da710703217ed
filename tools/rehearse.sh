#!/usr/bin/env bash
# Run every stage of the GPU recipes on a CPU, with two steps per training. Small corpora in their
# published layouts, and HuBERT Base and WavLM Base+ with random weights, are made in OUT, so nothing is
# downloaded. Prints a table; logs go to OUT/NAME/log.txt. Needs espeak-ng and sox.
#
#   tools/rehearse.sh --out OUT                                 # all
#   tools/rehearse.sh --out OUT --only an4 --systems robust_plus
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "${root}/utils/log.sh"
. "${root}/utils/python.sh"

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONWARNINGS=ignore
export PYTHONPATH=${root}:${root}/tools${PYTHONPATH:+:${PYTHONPATH}}
exec python -m rehearsal "$@"
