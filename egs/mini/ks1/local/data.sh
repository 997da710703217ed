#!/usr/bin/env bash
# Keywords synthesised with espeak-ng -> data/{train,dev,test}; options go to prepare_corpus.
set -euo pipefail

python -m espnet_robust.bin.prepare_corpus mini_keywords --seed 0 --nj 2 --out data "$@"
