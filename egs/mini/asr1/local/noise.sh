#!/usr/bin/env bash
# Synthetic noises and simulated rooms -> data/noise_{train,dev,test,ood}, data/rir_*.
set -euo pipefail

python -m espnet_robust.bin.prepare_corpus mini_noise --seed 0 --out data
python -m espnet_robust.bin.prepare_corpus mini_rooms --seed 0 --out data
