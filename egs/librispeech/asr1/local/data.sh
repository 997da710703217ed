#!/usr/bin/env bash
# LibriSpeech's sets -> data/{train,dev,test,test_other}. Variables come from run.sh.
set -euo pipefail

# shellcheck disable=SC2154
for split in train dev test test_other; do
    parts=${split}_parts
    python -m espnet_robust.bin.prepare_corpus librispeech --root "${librispeech}" \
        --sets "${!parts}" --out data
    IFS=, read -ra dirs <<<"${!parts}"
    python -m espnet_robust.bin.combine_data_dirs "${dirs[@]/#/data/}" "data/${split}"
done
