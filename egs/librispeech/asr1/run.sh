#!/usr/bin/env bash
# LibriSpeech -> WER x distortion. Stages and further options: ../../TEMPLATE/asr1/asr.sh --help
#
#   ./run.sh --librispeech DIR --noise DIR --rir DIR --noise_ood DIR --rir_ood DIR [--preset 100h]
#   ./run.sh --preset mini --librispeech ../../../../shared/data/LibriSpeech \
#       --noise ../../../../shared/data/noise --rir ../../../../shared/data/rir
#
# Presets: 100h, 960h: MUSAN as --noise and OpenSLR 28 as --rir (in domain), DNS-Challenge noise
# and responses as --noise_ood and --rir_ood (out of domain), a teacher from the hub.
# mini: an hour of speech; --noise holds esc10/ and outdoor_indoor/, --rir a directory a room.
set -euo pipefail
cd "$(dirname "$0")"

preset=100h librispeech="" noise="" rir="" noise_ood="" rir_ood=""
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --preset | --librispeech | --noise | --rir | --noise_ood | --rir_ood)
            [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 1; }
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        *)
            options+=("$1")
            shift
            ;;
    esac
done
case ${preset} in
    mini)
        train_parts=train-mini dev_parts=dev-mini test_parts=test-mini
        test_other_parts=test-other-mini
        options=(--teacher ../../mini/asr1/teacher --token_type char --budget short
            --distill_config ../../mini/asr1/conf/distill.yaml "${options[@]}")
        ;;
    100h | 960h)
        train_parts=train-clean-100 dev_parts=dev-clean test_parts=test-clean
        test_other_parts=test-other
        [ "${preset}" = 100h ] || train_parts=train-clean-100,train-clean-360,train-other-500
        options=(--teacher facebook/hubert-base-ls960 --token_type bpe --nbpe 500 --budget full
            --ngpu 1 --nj 1 "${options[@]}")
        ;;
    *)
        echo "error: unknown preset '${preset}': mini, 100h or 960h" >&2
        exit 1
        ;;
esac
export preset librispeech noise rir noise_ood rir_ood
export train_parts dev_parts test_parts test_other_parts

../../TEMPLATE/asr1/asr.sh --test_sets "test test_other" "${options[@]}"
