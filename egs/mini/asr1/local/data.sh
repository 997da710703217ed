#!/usr/bin/env bash
# Speech synthesised with espeak-ng -> data/{train,dev,test}; options go to prepare_corpus mini.
set -euo pipefail

python -m espnet_robust.bin.prepare_corpus mini --seed 0 --nj 2 --out data "$@"
