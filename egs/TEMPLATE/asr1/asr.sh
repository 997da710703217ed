#!/usr/bin/env bash
# From a corpus to a WER x distortion table. A recipe's run.sh calls this in its own directory,
# naming its sets and configurations; local/data.sh there prepares its corpus.
#
#   stage 1  corpus -> data/{train,dev,test}       stage 6  export the students
#         2  noises and rooms -> data/{noise,rir}  7  train a recogniser on each system
#         3  distorted copies of the test sets     8  decode every condition
#         4  teacher                               9  score
#         5  distil a student for each system      10 table and plot -> exp/report
#
# A stage that is done is passed over; one that was interrupted goes on where it stopped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
. "${root}/egs/TEMPLATE/options.sh"

asr_config=      # laid over the shared conf/{downstream,asr}/*.yaml
token_type=bpe   # or char, or word where every word is known
nbpe=100
decode_options=  # of espnet_robust.bin.decode: "--decode_options=--method beam --beam_size 20"

. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
. "${root}/egs/TEMPLATE/stages.sh"
task=asr
# shellcheck disable=SC2206  # several options
decode_command=(python -m espnet_robust.bin.decode ${decode_options})
score_command=(python -m espnet_robust.bin.score)
tokens=data/tokens_${token_type} bpemodel=none
if [ "${token_type}" = bpe ]; then
    tokens=data/tokens_bpe${nbpe} bpemodel=data/tokens_bpe${nbpe}/bpe.model
fi

train_one() {
    local system=$1 seed=$2 dir=$3
    # shellcheck disable=SC2086  # asr_config is a word or nothing
    python -m espnet_robust.bin.merge_config "${root}/conf/downstream/train.yaml" \
        "${root}/conf/asr/ctc.yaml" "$(features "${system}")" ${asr_config} \
        "${budget_config}:asr" --out "${dir}/asr/train.yaml"
    [ ! -f "${dir}/asr/done" ] || return 0
    # shellcheck disable=SC2046  # the options are words without spaces
    logged "${system} ${seed}" "${dir}/asr.log" \
        python -m espnet_robust.run espnet2.bin.asr_train \
        --config "${dir}/asr/train.yaml" --output_dir "${dir}/asr" --seed "${seed}" \
        $(model_options "${system}" "${dir}") --resume true --ngpu "${ngpu}" \
        --token_type "${token_type}" --token_list "${tokens}/tokens.txt" \
        --bpemodel "${bpemodel}" \
        $(shapes_and_data train "data/${train_set}" "data/${train_set}/text" text) \
        $(shapes_and_data valid "data/${dev_set}" "data/${dev_set}/text" text)
    touch "${dir}/asr/done"
}

prepare_corpus
prepare_students

if want 7 "recognisers on ${systems}"; then
    python -m espnet_robust.bin.make_tokens --type "${token_type}" --size "${nbpe}" \
        --out "${tokens}" "data/${train_set}/text"
    each_system train_one
fi

evaluate
