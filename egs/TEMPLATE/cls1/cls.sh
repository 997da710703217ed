#!/usr/bin/env bash
# From a corpus to a table of accuracy by distortion. A recipe's run.sh calls this in its own
# directory and sets its options; local/data.sh there prepares its corpus.
#
#   stage 1  corpus -> data/{train,dev,test}       stage 6  export the students
#         2  noises and rooms -> data/{noise,rir}  7  train a classifier on each system
#         3  distorted copies of the test sets     8  classify every condition
#         4  teacher                               9  score
#         5  distil a student for each system      10 table and plot -> exp/report
#        11  pack, if asked for                    12  upload to the hub, if asked for
#
# A finished stage is skipped; an interrupted one resumes where it stopped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
readonly root
. "${root}/egs/TEMPLATE/options.sh"

label=utt2label  # the table in the data dirs with the classes; "a|b|c" has three slots
classifier=linear  # or blstm: conf/cls/*.yaml
cls_config=      # the recipe's changes to conf/{downstream,cls}/*.yaml; default: its conf/cls.yaml
cls_args=        # ESPnet training options: "--max_epoch 9 --use_wandb true"
folds=           # "1 2 3": run everything on data/foldN_{train,dev,test}, then average the folds

_arguments=("$@")
. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
task=cls task_config=${cls_config} task_args=${cls_args} \
    tokens=data/classes_${train_set}_${label}
. "${root}/egs/TEMPLATE/stages.sh"
decode_command=(classify --table "${label}")
score_command=(score --task cls --label "${label}")

# mean_of_folds: exp/mean/BUDGET/SYSTEM_seedN from those of exp/foldN, and its table.
mean_of_folds() {
    local parent=${expdir}${tag:+/${tag}} fold parts=()
    for fold in ${folds}; do parts+=("${parent}/fold${fold}/${budget}"); done
    bin average_folds --systems "${systems}" --seeds "${seeds}" --out "${parent}/mean/${budget}" \
        "${parts[@]}"
    test_sets=mean report_on "${parent}/mean/${budget}"
}

if [ -n "${folds}" ]; then
    stage_noise
    export fold # for local/data.sh
    for fold in ${folds}; do
        "$0" "${_arguments[@]}" --folds= --tag "${tag:+${tag}/}fold${fold}" \
            --train_set "fold${fold}_train" --dev_set "fold${fold}_dev" --valid_set= --results= \
            --test_sets "fold${fold}_test" ${upload_hf:+--upload_hf "${upload_hf}-fold${fold}"}
    done
    if want 10 "mean of folds ${folds} -> ${report}"; then mean_of_folds; fi
    exit
fi

prepare_corpus
# shellcheck disable=SC2086  # several test sets
bin make_classes --table "${label}" --out "${tokens}" \
    --train "data/${train_set}" --dev "data/${dev_set}" ${test_dirs}
prepare_students

if want 7 "classifiers on ${systems}"; then each_system train_one train; fi
evaluate
publish
