#!/usr/bin/env bash
# Strings of digits -> data/{train,dev,test}; these and, on request, LibriSpeech and the mini corpus ->
# data/distill_{train,dev}. Variables are options of run.sh; the options here go to prepare_corpus
# fsdd.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"

# shellcheck disable=SC2154
prepare fsdd "${fsdd}" --out data "$@"
train=(data/train) dev=(data/dev)
# shellcheck disable=SC2154
if [ -n "${librispeech}" ]; then
    download=false prepare librispeech "${librispeech}" --out data \
        --sets "${librispeech_train},${librispeech_dev}"
    IFS=, read -ra sets <<<"${librispeech_train}"
    train+=("${sets[@]/#/data/}")
    IFS=, read -ra sets <<<"${librispeech_dev}"
    dev+=("${sets[@]/#/data/}")
fi
# shellcheck disable=SC2154
if [ "${mini}" = true ]; then
    python -m espnet_robust.bin.prepare_corpus mini --seed 0 --nj 2 --out data/mini
    train+=(data/mini/train) dev+=(data/mini/dev)
fi
python -m espnet_robust.bin.combine_data_dirs "${train[@]}" data/distill_train
python -m espnet_robust.bin.combine_data_dirs "${dev[@]}" data/distill_dev
