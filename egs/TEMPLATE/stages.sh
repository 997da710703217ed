# shellcheck shell=bash disable=SC2154  # options come from options.sh and the driver
# What the drivers share. A driver sets ${root}, sources options.sh, names its own options, sources
# utils/{log,parse_options}.sh and this file, which refuses bad options, then calls
#
#   prepare_corpus    stage 1
#   prepare_students  stages 2 to 6: noises, copies, teacher, distillation, export
#   each_system       for stage 7: a function for every system and seed, several at a time
#   evaluate          stages 8 to 10, from trained models in DIR/${task} to tables and plots

. "${root}/utils/python.sh"
. "${root}/egs/TEMPLATE/noise.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# oneDNN keeps what it compiled for each shape: gigabytes where batches differ in length.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY=${ONEDNN_PRIMITIVE_CACHE_CAPACITY:-8}

[ "${systems}" = all ] && systems=${all_systems}
for number in "${stage}" "${stop_stage}"; do
    [[ ${number} =~ ^([1-9]|10)$ ]] || die "stage '${number}' does not exist: stages are 1 to 10"
done
[[ ${nj} =~ ^[1-9][0-9]*$ ]] || die "nj '${nj}' is not a number of processes"
[[ ${ngpu} =~ ^[0-9]+$ ]] || die "ngpu '${ngpu}' is not a number of GPUs"
if [ "${ngpu}" -gt 0 ] && [ "${stage}" -le 8 ] && [ "${stop_stage}" -ge 5 ]; then
    gpus=$(python -c 'import torch; print(torch.cuda.device_count())')
    [ "${gpus}" -ge "${ngpu}" ] ||
        die "ngpu ${ngpu}: torch finds ${gpus} here; stages 5 to 8 need them, or --ngpu 0 for the CPU"
fi
budget_config=conf/budget/${budget}.yaml
[ -f "${budget_config}" ] || budget_config=${root}/conf/budget/${budget}.yaml
[ -f "${budget_config}" ] ||
    die "no budget '${budget}': there is no conf/budget/${budget}.yaml"
# system_config SYSTEM: its YAML: a variant of the recipe's own, one beside what the recipe changes in
# all systems (conf/distill.yaml and conf/distill/), or one that all recipes share.
system_config() {
    local dir
    for dir in conf/distill "${distill_config%.yaml}" "${root}/conf/distill"; do
        if [ -n "${dir}" ] && [ -f "${dir}/$1.yaml" ]; then
            echo "${dir}/$1.yaml"
            return
        fi
    done
    die "unknown system '$1': there is no conf/distill/$1.yaml"
}
for system in ${systems}; do
    case ${system} in
        teacher | logmel) ;;
        *) system_config "${system}" >/dev/null ;;
    esac
done
[ -z "${students}" ] || [ -d "${students}" ] ||
    die "--students ${students}: no such directory; it is the exp/BUDGET of another recipe"
check_noise_source
: "${protocol:=${root}/conf/distortion/mini_test.yaml}"
: "${train_distortion:=${root}/conf/distortion/train.yaml}"
: "${dev_distortion:=${root}/conf/distortion/dev.yaml}"
if [ "${pretrain_teacher}" = true ]; then
    teacher=exp/teacher$(wc -w <<<"${pretrain_configs}")
fi
exp=exp${tag:+/${tag}}/${budget} report=exp${tag:+/${tag}}/report

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

# shapes_and_data SPLIT DATA_DIR [TABLE NAME]: ESPnet's options for the audio of one split and,
# as the data NAME, for the file TABLE.
shapes_and_data() {
    echo "--$1_data_path_and_name_and_type $2/wav.scp,speech,sound"
    echo "--$1_shape_file $2/utt2num_samples"
    [ $# -lt 4 ] || echo "--$1_data_path_and_name_and_type $3,$4,text"
}

# features SYSTEM: the configuration of what a recogniser or classifier stands on.
features() {
    if [ "$1" = logmel ]; then
        echo "${root}/conf/${task}/logmel.yaml"
    else
        echo "${root}/conf/downstream/speech_model.yaml"
    fi
}

# model_options SYSTEM DIR: which model that is, as options of ESPnet.
model_options() {
    case $1 in
        logmel) ;;
        teacher) echo "--frontend_conf student.hf=${teacher}" ;;
        *) echo "--frontend_conf student.path=$2/student" ;;
    esac
}

# for_sets CONFIG DIR: the distortions in CONFIG, or in DIR a copy of it that takes the speech of
# babble from this recipe's sets, where these are not data/train and data/dev.
for_sets() {
    local copy=$2/distortion_${1##*/}
    if [ "${train_set} ${dev_set}" = "train dev" ]; then
        echo "$1"
    else
        sed -E -e "s#data/train([],} ]|\$)#data/${train_set}\1#" \
            -e "s#data/dev([],} ]|\$)#data/${dev_set}\1#" "$1" >"${copy}"
        echo "${copy}"
    fi
}

distil() {
    local system=$1 seed=$2 dir=$3 config
    case ${system} in teacher | logmel) return ;; esac
    config=$(system_config "${system}")
    # shellcheck disable=SC2086  # distill_config is a word or nothing
    python -m espnet_robust.bin.merge_config "${config}" \
        "${budget_config}:distill" --adapt ${distill_config} --out "${dir}/distill/train.yaml"
    [ ! -f "${dir}/distill/done" ] || return 0
    local distortion=()
    if ! grep -q '^mapping: none' "${dir}/distill/train.yaml"; then
        distortion=(--distortion "$(for_sets "${train_distortion}" "${dir}/distill")"
            --valid_distortion "$(for_sets "${dev_distortion}" "${dir}/distill")")
    fi
    # shellcheck disable=SC2046  # the options are words without spaces
    logged "${system} ${seed}" "${dir}/distill.log" python -m espnet_robust.bin.distill_train \
        --config "${dir}/distill/train.yaml" --output_dir "${dir}/distill" --seed "${seed}" \
        --teacher "${teacher}" "${distortion[@]}" --resume true --ngpu "${ngpu}" \
        $(shapes_and_data train "${distill_set:-data/${train_set}}") \
        $(shapes_and_data valid "${distill_dev_set:-data/${dev_set}}")
    touch "${dir}/distill/done"
}

export_one() {
    case $1 in teacher | logmel) return ;; esac
    [ "$3/student/model.safetensors" -nt "$3/distill/done" ] ||
        python -m espnet_robust.bin.export_student "$3/distill" "$3/student"
}

# The student of another experiment: DIR/student is a link to it.
borrow_one() {
    case $1 in teacher | logmel) return ;; esac
    local theirs=${students}/$1_seed$2/student
    [ -f "${theirs}/model.safetensors" ] ||
        die "${theirs}: no student there; distil $1 with seed $2 in that recipe first"
    if [ -e "$3/student" ] && ! [ "$3/student" -ef "${theirs}" ]; then
        die "$3/student: this experiment was begun with another student; delete $3 to begin anew"
    fi
    ln -sfn "$(realpath "${theirs}")" "$3/student"
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

prepare_corpus() {
    local set dirs undistorted=()
    if want 1 "corpus -> data/{${train_set},${dev_set},${test_sets// /,}}"; then
        # shellcheck disable=SC2086  # several options
        local/data.sh ${data_opts}
    fi
    for set in ${test_sets}; do
        dirs=$(conditions "${set}")
        undistorted+=("${dirs%%$'\n'*}")
    done
    python -m espnet_robust.bin.validate_data_dir --audio \
        "data/${train_set}" "data/${dev_set}" "${undistorted[@]}"
}

stage_noise() {
    if want 2 "noises and rooms -> data/noise_*, data/rir_*"; then prepare_noise; fi
}

prepare_students() {
    local set config round=0
    # Of several folds the driver has done it once for all.
    [ -n "${fold-}" ] || stage_noise

    if want 3 "distorted copies -> data/{${test_sets// /,}}_*" && [ "${protocol}" != none ]; then
        for set in ${test_sets}; do
            python -m espnet_robust.bin.make_protocol --config "${protocol}" --seed 0 \
                --nj "${nj}" "data/${set}" "data/${set}"
        done
    fi

    if want 4 "teacher ${teacher}"; then
        if [ "${pretrain_teacher}" = true ]; then
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

    if [ -n "${students}" ]; then
        if want 6 "students of ${students}"; then each_system borrow_one; fi
    else
        if want 5 "distil ${systems}"; then each_system distil; fi
        if want 6 "export the students"; then each_system export_one; fi
    fi
}

# results TESTSET DIR: those of the first set lie in DIR itself, of the others in DIR/TESTSET.
results() {
    if [ "$1" = "${test_sets%% *}" ]; then echo "$2"; else echo "$2/$1"; fi
}

# All conditions of all test sets in one process; the driver's ${decode_command}.
decode_one() {
    local system=$1 seed=$2 dir=$3 set dirs todo=()
    # What was decoded otherwise is decoded anew.
    if [ "$(cat "${dir}/decode/options" 2>/dev/null)" != "${decode_options:-}" ]; then
        rm -f "${dir}"/decode/*/decode.json
        mkdir -p "${dir}/decode"
        echo "${decode_options:-}" >"${dir}/decode/options"
    fi
    for set in ${test_sets}; do
        [ ! "${dir}/decode/${set}/decode.json" -nt "${dir}/${task}/done" ] || continue
        dirs=$(conditions "${set}")
        mapfile -t -O "${#todo[@]}" todo <<<"${dirs}"
    done
    [ "${#todo[@]}" -gt 0 ] || return 0
    logged "${system} ${seed}" "${dir}/decode.log" "${decode_command[@]}" \
        --exp "${dir}/${task}" --checkpoint "${checkpoint}" --out "${dir}/decode" \
        --device "$([ "${ngpu}" -gt 0 ] && echo cuda || echo cpu)" "${todo[@]}"
}

score_one() {
    local system=$1 seed=$2 dir=$3 set dirs
    for set in ${test_sets}; do
        dirs=$(conditions "${set}")
        # shellcheck disable=SC2086  # one word a data dir
        "${score_command[@]}" --system "${system}" --seed "${seed}" \
            --decode-dir "${dir}/decode/${set}" \
            --out "$(results "${set}" "${dir}")/scores.json" ${dirs}
    done
}

# report_on DIR SCORES...: the table and plot of scores.json files, shown.
report_on() {
    local dir=$1 compare=()
    shift
    [[ " ${systems} " != *" ${baseline} "* ]] || compare=(--baseline "${baseline}")
    python -m espnet_robust.bin.report --out "${dir}" "${compare[@]}" --systems "${systems}" "$@"
    cat "${dir}"/*.md
}

evaluate() {
    local set system seed scores
    if want 8 "decode every condition of ${test_sets}"; then
        each_system decode_one
    fi
    if want 9 "score"; then
        each_system score_one
    fi
    if want 10 "table and plot -> ${report}"; then
        for set in ${test_sets}; do
            scores=()
            for system in ${systems}; do
                for seed in ${seeds}; do
                    scores+=("$(results "${set}" "${exp}/${system}_seed${seed}")/scores.json")
                done
            done
            [ "${set}" = "${test_sets%% *}" ] || echo "# ${set}"
            report_on "$(results "${set}" "${report}")" "${scores[@]}"
        done
    fi
}
