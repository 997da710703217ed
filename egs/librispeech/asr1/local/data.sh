#!/usr/bin/env bash
# LibriSpeech's sets -> data/{train,dev,test,test_other}. Variables are options of run.sh; the options
# here go to prepare_corpus librispeech.
set -euo pipefail
. "$(dirname "$0")/../../../TEMPLATE/corpus.sh"
options=("$@")

# split SPLIT PARTS...: data/SPLIT from parts of LibriSpeech.
split() {
    local split=$1
    shift
    # shellcheck disable=SC2154
    parts=$* prepare librispeech "${librispeech}" --sets "$(IFS=, && echo "$*")" --out data \
        "${options[@]}"
    python -m espnet_robust.bin.combine_data_dirs "${@/#/data/}" "data/${split}"
}

# shellcheck disable=SC2154
case ${preset} in
    mini) train=(train-mini) dev=dev-mini test=test-mini other=test-other-mini ;;
    100h) train=(train-clean-100) ;;
    960h) train=(train-clean-100 train-clean-360 train-other-500) ;;
esac
split train "${train[@]}"
split dev "${dev:-dev-clean}"
split test "${test:-test-clean}"
split test_other "${other:-test-other}"
