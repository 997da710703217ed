#!/usr/bin/env bash
# From a corpus to an accuracy x distortion table. A recipe's run.sh calls this in its own
# directory, naming its sets and configurations; local/data.sh there prepares its corpus.
#
#   stage 1  corpus -> data/{train,dev,test}       stage 6  export the students
#         2  noises and rooms -> data/{noise,rir}  7  train a classifier on each system
#         3  distorted copies of the test sets     8  classify every condition
#         4  teacher                               9  score
#         5  distil a student for each system      10 table and plot -> exp/report
#
# A stage that is done is passed over; one that was interrupted goes on where it stopped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
. "${root}/egs/TEMPLATE/options.sh"

label=utt2label  # table of the data dirs with the classes; "a|b|c" has three slots
classifier=linear  # or blstm: conf/cls/*.yaml
cls_config=      # laid over the shared conf/{downstream,cls}/*.yaml
folds=           # "1 2 3": all of this on data/foldN_{train,dev,test}, then the mean of the folds

_arguments=("$@")
. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
. "${root}/egs/TEMPLATE/stages.sh"
case ${classifier} in
    linear | blstm) ;;
    *) die "classifier '${classifier}' is not linear or blstm" ;;
esac
task=cls classes=data/classes_${train_set}
decode_command=(python -m espnet_robust.bin.classify --table "${label}")
score_command=(python -m espnet_robust.bin.score --task cls --label "${label}")

train_one() {
    local system=$1 seed=$2 dir=$3
    # shellcheck disable=SC2086  # cls_config is a word or nothing
    python -m espnet_robust.bin.merge_config "${root}/conf/downstream/train.yaml" \
        "${root}/conf/cls/${classifier}.yaml" "$(features "${system}")" \
        "${classes}/slots.yaml" ${cls_config} "${budget_config}:cls" --out "${dir}/cls/train.yaml"
    [ ! -f "${dir}/cls/done" ] || return 0
    # shellcheck disable=SC2046  # the options are words without spaces
    logged "${system} ${seed}" "${dir}/cls.log" \
        python -m espnet_robust.run espnet2.bin.cls_train \
        --config "${dir}/cls/train.yaml" --output_dir "${dir}/cls" --seed "${seed}" \
        $(model_options "${system}" "${dir}") --resume true --ngpu "${ngpu}" \
        --token_list "${classes}/tokens.txt" \
        $(shapes_and_data train "data/${train_set}" "${classes}/train" label) \
        $(shapes_and_data valid "data/${dev_set}" "${classes}/dev" label)
    touch "${dir}/cls/done"
}

# mean_of_folds: exp/mean/BUDGET/SYSTEM_seedN from those of exp/foldN, and its table.
mean_of_folds() {
    local system seed name parent=exp${tag:+/${tag}} scores=()
    for system in ${systems}; do
        for seed in ${seeds}; do
            name=${budget}/${system}_seed${seed}
            # shellcheck disable=SC2046,SC2086  # several folds
            python -m espnet_robust.bin.average_folds --out "${parent}/mean/${name}" \
                $(printf "${parent}/fold%s/${name} " ${folds})
            scores+=("${parent}/mean/${name}/scores.json")
        done
    done
    report_on "${report}" "${scores[@]}"
}

if [ -n "${folds}" ]; then
    stage_noise
    export fold # for local/data.sh
    for fold in ${folds}; do
        "$0" "${_arguments[@]}" --folds= --tag "${tag:+${tag}/}fold${fold}" \
            --train_set "fold${fold}_train" --dev_set "fold${fold}_dev" \
            --test_sets "fold${fold}_test"
    done
    if want 10 "mean of folds ${folds} -> ${report}"; then mean_of_folds; fi
    exit
fi

prepare_corpus
read -ra test_dirs <<<"${test_sets}"
python -m espnet_robust.bin.make_classes --table "${label}" --out "${classes}" \
    --train "data/${train_set}" --dev "data/${dev_set}" "${test_dirs[@]/#/data/}"
prepare_students

if want 7 "classifiers on ${systems}"; then
    each_system train_one
fi

evaluate
