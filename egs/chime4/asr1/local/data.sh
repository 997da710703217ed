#!/usr/bin/env bash
# CHiME-4 -> data/{train,dev}, real speech, and data/test_{real,simu}_{bus,caf,ped,str}; options go
# to prepare_corpus.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154  # an option of run.sh
prepare chime4 "${chime4}" --sets tr05_real,dt05_real,et05_real,et05_simu --out data "$@"
python -m espnet_robust.bin.combine_data_dirs data/tr05_real data/train
python -m espnet_robust.bin.combine_data_dirs data/dt05_real data/dev
for arm in real simu; do
    python -m espnet_robust.bin.split_conditions "data/et05_${arm}" data/test --name "${arm}"
done
