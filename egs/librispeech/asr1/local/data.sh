#!/usr/bin/env bash
# LibriSpeech's sets -> data/{train,dev,test,test_other}. Variables are options of run.sh.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

declare -A parts=([train]=train-clean-100 [dev]=dev-clean [test]=test-clean [test_other]=test-other)
# shellcheck disable=SC2154
case ${preset} in
    mini) parts=([train]=train-mini [dev]=dev-mini [test]=test-mini [test_other]=test-other-mini) ;;
    960h) parts[train]+=,train-clean-360,train-other-500 ;;
esac
for split in "${!parts[@]}"; do
    # shellcheck disable=SC2154
    prepare librispeech "${librispeech}" --sets "${parts[${split}]}" --out data
    IFS=, read -ra dirs <<<"${parts[${split}]}"
    python -m espnet_robust.bin.combine_data_dirs "${dirs[@]/#/data/}" "data/${split}"
done
