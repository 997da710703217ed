#!/usr/bin/env bash
# Word error rates on LibriSpeech, by distortion. All stages and options: ./run.sh --help
#
#   ./run.sh --librispeech DIR --musan DIR --wham DIR --fsd50k DIR --dns DIR [--preset 100h]
#   ./run.sh --preset mini --librispeech ../../../../shared/data/LibriSpeech \
#       --noise ../../../../shared/data/noise --rir ../../../../shared/data/rir
#
# Presets 100h and 960h: as in the paper: MUSAN and WHAM! in domain, FSD50K and DNS-Challenge out of
# domain, a teacher from the hub.
# Preset mini: an hour of speech; --noise holds esc10/ and outdoor_indoor/, --rir one directory per room.
set -euo pipefail
cd "$(dirname "$0")"

export preset=100h   # or 960h, mini
export librispeech=  # directory with train-clean-100, dev-clean, ...

previous=
for argument in "$@"; do # the preset sets the defaults of the other options
    if [ "${previous}" = --preset ] || [[ ${argument} == --preset=* ]]; then
        preset=${argument#--preset=}
    fi
    previous=${argument}
done
case ${preset} in
    mini) defaults=(--noise_source esc10 --distill_config conf/distill_mini.yaml --token_type char) ;;
    100h | 960h) defaults=(--noise_source paper --nbpe 500 --budget paper --ngpu 1 --nj 1) ;;
    *)
        echo "error: unknown preset '${preset}': mini, 100h or 960h" >&2
        exit 1
        ;;
esac

exec ../../TEMPLATE/asr1/asr.sh --test_sets "test test_other" "${defaults[@]}" "$@"
