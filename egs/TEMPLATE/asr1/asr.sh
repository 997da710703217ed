#!/usr/bin/env bash
# From a corpus to a WER x distortion table. A recipe's run.sh calls this in its own directory,
# naming its sets and configurations; local/ there prepares its corpus, noises and rooms.
#
#   stage 1  corpus -> data/{train,dev,test}       stage 6  export the students
#         2  noises and rooms -> data/{noise,rir}  7  train a recogniser on each system
#         3  distorted copies of the test sets     8  decode every condition
#         4  teacher                               9  score
#         5  distil a student for each system      10 table and plot -> exp/report
#
# A stage that is done is passed over; one that was interrupted goes on where it stopped.
set -euo pipefail

stage=1
stop_stage=10
nj=2          # systems trained at a time, and processes of data stages; one thread each
ngpu=0        # GPUs of one training
seeds=0       # "0 1 2": distil and train with each
systems="teacher distilhubert cdm2_dat"  # or "all"
all_systems="teacher distilhubert cdm1 cdm2 cdm2_dat logmel"
baseline=distilhubert                    # what the table compares with
budget=short                             # conf/budget/*.yaml: numbers of steps

train_set=train
dev_set=dev
test_sets="test"                         # undistorted; their copies are data/TESTSET_CONDITION
protocol=        # conditions of the copies, or none; default: conf/distortion/mini_test.yaml
train_distortion=                        # default: conf/distortion/train.yaml
dev_distortion=                          # picks the best epoch; default: conf/distortion/dev.yaml
distill_set=                             # data dir to distil on; default: the training set

pretrain_teacher=false                   # make a teacher instead of taking ${teacher}
pretrain_configs="conf/pretrain1.yaml conf/pretrain2.yaml"  # rounds; round N -> exp/teacherN
pretrain_sets=                           # data dirs to pretrain on; default: the training set
teacher=teacher                          # hub id or directory

distill_config=                          # laid over the shared conf/distill/SYSTEM.yaml
asr_config=                              # laid over the shared conf/asr/*.yaml
token_type=bpe                           # or char
nbpe=100
checkpoint=valid.loss.best.pth
data_opts=                               # options of local/data.sh, as one argument

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
. "${root}/utils/python.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# oneDNN keeps what it compiled for each shape: gigabytes where batches differ in length.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY=${ONEDNN_PRIMITIVE_CACHE_CAPACITY:-8}
[ "${systems}" = all ] && systems=${all_systems}
for number in "${stage}" "${stop_stage}"; do
    [[ ${number} =~ ^([1-9]|10)$ ]] || die "stage '${number}' does not exist: stages are 1 to 10"
done
[ -f "conf/budget/${budget}.yaml" ] ||
    die "no budget '${budget}': there is no conf/budget/${budget}.yaml"
for system in ${systems}; do
    case ${system} in
        teacher | logmel) ;;
        *) [ -f "${root}/conf/distill/${system}.yaml" ] ||
            die "unknown system '${system}': there is no conf/distill/${system}.yaml" ;;
    esac
done
: "${protocol:=${root}/conf/distortion/mini_test.yaml}"
: "${train_distortion:=${root}/conf/distortion/train.yaml}"
: "${dev_distortion:=${root}/conf/distortion/dev.yaml}"
if [ "${pretrain_teacher}" = true ]; then
    teacher=exp/teacher$(wc -w <<<"${pretrain_configs}")
fi
exp=exp/${budget}
tokens=data/tokens_${token_type} bpemodel=none
if [ "${token_type}" = bpe ]; then
    tokens=data/tokens_bpe${nbpe} bpemodel=data/tokens_bpe${nbpe}/bpe.model
fi

want() { [ "${stage}" -le "$1" ] && [ "$1" -le "${stop_stage}" ] && log "Stage $1: $2"; }

# each_system FUNCTION: FUNCTION SYSTEM SEED DIR for every system and seed, ${nj} at a time.
each_system() {
    local system seed failed=0 running=0
    for seed in ${seeds}; do
        for system in ${systems}; do
            if [ "${running}" -ge "${nj}" ]; then
                wait -n || failed=1
                running=$((running - 1))
            fi
            [ "${failed}" = 0 ] || break 2
            mkdir -p "${exp}/${system}_seed${seed}"
            "$1" "${system}" "${seed}" "${exp}/${system}_seed${seed}" &
            running=$((running + 1))
        done
    done
    while [ "${running}" -gt 0 ]; do
        wait -n || failed=1
        running=$((running - 1))
    done
    [ "${failed}" = 0 ] || die "a system failed; see above"
}

# logged NAME FILE COMMAND...: output to FILE; epochs are shown, and of a failure what it says.
logged() {
    local name=$1 file=$2
    shift 2
    log "[${name}] begins; all output in ${file}"
    if ! "$@" 2>&1 | tee "${file}" |
        sed -un "s/.* INFO: \([0-9/]*epoch started.*\)/[${name}] \1/p"; then
        grep '^error: ' "${file}" >&2 || tail -n 5 "${file}" >&2
        log "[${name}] failed; see ${file}"
        return 1
    fi
}

shapes_and_data() { # SPLIT DATA_DIR [text]: ESPnet's options for one split
    echo "--$1_data_path_and_name_and_type $2/wav.scp,speech,sound"
    echo "--$1_shape_file $2/utt2num_samples"
    [ $# -lt 3 ] || echo "--$1_data_path_and_name_and_type $2/text,text,text"
}

distil() {
    local system=$1 seed=$2 dir=$3
    case ${system} in teacher | logmel) return ;; esac
    # shellcheck disable=SC2086  # distill_config is a word or nothing
    python -m espnet_robust.bin.merge_config "${root}/conf/distill/${system}.yaml" \
        ${distill_config} "conf/budget/${budget}.yaml:distill" --out "${dir}/distill/train.yaml"
    [ ! -f "${dir}/distill/done" ] || return 0
    local distortion=()
    if ! grep -q '^mapping: none' "${dir}/distill/train.yaml"; then
        distortion=(--distortion "${train_distortion}" --valid_distortion "${dev_distortion}")
    fi
    # shellcheck disable=SC2046  # the options are words without spaces
    logged "${system} ${seed}" "${dir}/distill.log" python -m espnet_robust.bin.distill_train \
        --config "${dir}/distill/train.yaml" --output_dir "${dir}/distill" --seed "${seed}" \
        --teacher "${teacher}" "${distortion[@]}" --resume true --ngpu "${ngpu}" \
        $(shapes_and_data train "${distill_set:-data/${train_set}}") \
        $(shapes_and_data valid "data/${dev_set}")
    touch "${dir}/distill/done"
}

export_one() {
    case $1 in teacher | logmel) return ;; esac
    [ "$3/student/model.safetensors" -nt "$3/distill/done" ] ||
        python -m espnet_robust.bin.export_student "$3/distill" "$3/student"
}

train_asr() {
    local system=$1 seed=$2 dir=$3 features=speech_model frontend
    case ${system} in
        logmel) features=logmel frontend=() ;;
        teacher) frontend=(--frontend_conf "student.hf=${teacher}") ;;
        *) frontend=(--frontend_conf "student.path=${dir}/student") ;;
    esac
    # shellcheck disable=SC2086  # asr_config is a word or nothing
    python -m espnet_robust.bin.merge_config "${root}/conf/asr/ctc.yaml" \
        "${root}/conf/asr/${features}.yaml" ${asr_config} "conf/budget/${budget}.yaml:asr" \
        --out "${dir}/asr/train.yaml"
    [ ! -f "${dir}/asr/done" ] || return 0
    # shellcheck disable=SC2046
    logged "${system} ${seed}" "${dir}/asr.log" \
        python -m espnet_robust.run espnet2.bin.asr_train \
        --config "${dir}/asr/train.yaml" --output_dir "${dir}/asr" --seed "${seed}" \
        "${frontend[@]}" --resume true --ngpu "${ngpu}" \
        --token_type "${token_type}" --token_list "${tokens}/tokens.txt" \
        --bpemodel "${bpemodel}" \
        $(shapes_and_data train "data/${train_set}" text) \
        $(shapes_and_data valid "data/${dev_set}" text)
    touch "${dir}/asr/done"
}

# conditions TESTSET: its data dirs, undistorted speech, if there is any, first. condition.json
# tells the copies of a set `test` from those of a set `test_other`.
conditions() {
    local dir LC_ALL=C found=0
    for dir in "data/$1" "data/$1"_*; do
        if [ "${dir}" = "data/$1" ] && [ -f "${dir}/wav.scp" ] ||
            grep -qsF "\"name\": \"${dir#"data/$1_"}\"" "${dir}/condition.json"; then
            echo "${dir}"
            found=1
        fi
    done
    [ "${found}" = 1 ] || die "no test set data/$1; was stage 1 run?"
}

# results TESTSET DIR: those of the first set lie in DIR itself, of the others in DIR/TESTSET.
results() {
    if [ "$1" = "${test_sets%% *}" ]; then echo "$2"; else echo "$2/$1"; fi
}

decode_one() {
    local system=$1 seed=$2 dir=$3 set dirs todo=()
    for set in ${test_sets}; do
        [ ! "${dir}/decode/${set}/decode.json" -nt "${dir}/asr/done" ] || continue
        dirs=$(conditions "${set}")
        mapfile -t -O "${#todo[@]}" todo <<<"${dirs}"
    done
    [ "${#todo[@]}" -gt 0 ] || return 0
    logged "${system} ${seed}" "${dir}/decode.log" python -m espnet_robust.bin.decode \
        --exp "${dir}/asr" --checkpoint "${checkpoint}" --out "${dir}/decode" "${todo[@]}"
}

score_one() {
    local system=$1 seed=$2 dir=$3 set dirs
    for set in ${test_sets}; do
        dirs=$(conditions "${set}")
        # shellcheck disable=SC2086  # one word a data dir
        python -m espnet_robust.bin.score --system "${system}" --seed "${seed}" \
            --decode-dir "${dir}/decode/${set}" \
            --out "$(results "${set}" "${dir}")/scores.json" ${dirs}
    done
}

if want 1 "corpus -> data/{${train_set},${dev_set},${test_sets// /,}}"; then
    # shellcheck disable=SC2086  # several options
    local/data.sh ${data_opts}
fi
undistorted=()
for set in ${test_sets}; do
    dirs=$(conditions "${set}")
    undistorted+=("${dirs%%$'\n'*}")
done
python -m espnet_robust.bin.validate_data_dir --audio \
    "data/${train_set}" "data/${dev_set}" "${undistorted[@]}"

if want 2 "noises and rooms -> data/noise_*, data/rir_*"; then
    local/noise.sh
fi

if want 3 "distorted copies -> data/{${test_sets// /,}}_*" && [ "${protocol}" != none ]; then
    for set in ${test_sets}; do
        python -m espnet_robust.bin.make_protocol --config "${protocol}" --seed 0 --nj "${nj}" \
            "data/${set}" "data/${set}"
    done
fi

if want 4 "teacher ${teacher}"; then
    if [ "${pretrain_teacher}" = true ]; then
        round=0
        for config in ${pretrain_configs}; do
            round=$((round + 1))
            [ ! -f "exp/teacher${round}/model.safetensors" ] || continue
            # shellcheck disable=SC2086  # several data dirs
            OMP_NUM_THREADS=${nj} python -m espnet_robust.bin.pretrain_teacher \
                --config "${config}" --out "exp/teacher${round}" \
                ${pretrain_sets:-data/${train_set}}
        done
    fi
    python -m espnet_robust.bin.describe_model "${teacher}"
fi

if want 5 "distil ${systems}"; then
    each_system distil
fi

if want 6 "export the students"; then
    each_system export_one
fi

if want 7 "recognisers on ${systems}"; then
    python -m espnet_robust.bin.make_tokens --type "${token_type}" --size "${nbpe}" \
        --out "${tokens}" "data/${train_set}/text"
    each_system train_asr
fi

if want 8 "decode every condition of ${test_sets}"; then
    each_system decode_one
fi

if want 9 "score"; then
    each_system score_one
fi

if want 10 "table and plot -> exp/report"; then
    compare=()
    [[ " ${systems} " != *" ${baseline} "* ]] || compare=(--baseline "${baseline}")
    for set in ${test_sets}; do
        scores=()
        for system in ${systems}; do
            for seed in ${seeds}; do
                scores+=("$(results "${set}" "${exp}/${system}_seed${seed}")/scores.json")
            done
        done
        report=$(results "${set}" exp/report)
        python -m espnet_robust.bin.report --out "${report}" "${compare[@]}" \
            --systems "${systems}" "${scores[@]}"
        [ "${report}" = exp/report ] || echo "# ${set}"
        cat "${report}/wer.md"
    done
fi
