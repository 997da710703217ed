#!/usr/bin/env bash
# LibriSpeech's sets -> data/{train,dev,test}. Variables come from run.sh.
set -euo pipefail

# shellcheck disable=SC2154
for split in train dev test; do
    sets=${split}_sets
    python -m espnet_robust.bin.prepare_corpus librispeech --root "${librispeech}" \
        --sets "${!sets}" --out data
    IFS=, read -ra dirs <<<"${!sets}"
    python -m espnet_robust.bin.combine_data_dirs "${dirs[@]/#/data/}" "data/${split}"
done
