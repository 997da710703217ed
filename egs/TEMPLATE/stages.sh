# shellcheck shell=bash disable=SC2154  # options come from options.sh and the driver
# Shared by the drivers. A driver sets ${root}, sources options.sh, sets its own options, sources
# utils/{log,parse_options}.sh and this file, which checks the options, and then calls
#
#   prepare_corpus    stage 1
#   prepare_students  stages 2 to 6: noises, copies, teacher, distillation, export
#   each_system       for stage 7: a function for every system and seed, several at a time
#   evaluate          stages 8 to 10, from trained models in DIR/${task} to tables and plots
#   publish           stages 11 and 12: packed models and their cards; the hub

# parse_options.sh leaves them and every option after them.
[ $# = 0 ] || die "unexpected '$1': quote lists, --systems \"a b\""
[ -f local/data.sh ] || die "no local/data.sh here: a recipe's run.sh calls ${0##*/} in its directory"
. "${root}/utils/python.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# oneDNN caches compiled kernels for each shape: gigabytes if batches differ in length.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY=${ONEDNN_PRIMITIVE_CACHE_CAPACITY:-8}
# glibc gives large tensors back to the system when they are freed, and the next step pays for clearing
# their pages again: a tenth of its time. Here it keeps them, in huge pages. musl ignores this.
_keep=glibc.malloc.mmap_threshold=268435456:glibc.malloc.trim_threshold=2147483648
_keep+=:glibc.malloc.top_pad=67108864:glibc.malloc.hugetlb=1
export GLIBC_TUNABLES=${GLIBC_TUNABLES-${_keep}}
# Commands end when the shells named here end, even if killed (espnet_robust/common/ending.py).
export ESPNET_ROBUST_RECIPES="${ESPNET_ROBUST_RECIPES-} ${HOSTNAME}:$$"

# bin NAME OPTIONS...: a command of this project; kept for submit where ${job} is set.
bin() {
    if [ -n "${job-}" ]; then
        commands+=$(printf '%s\037' "${job}" "$@")$'\036'
    else
        here python -m "espnet_robust.bin.$1" "${@:2}"
    fi
}
# here COMMAND...: run it, unless only what would be submitted is shown.
here() { if [ "${dry_run}" = true ]; then log "here: ${*@Q}"; else "$@"; fi; }
# on_cluster NAME OPTIONS...: a command that submits jobs, if there is a --cluster.
on_cluster() {
    python -m "espnet_robust.bin.$1" --cluster "${cluster}" --dry_run "${dry_run}" "${@:2}"
}
want() {
    [ "${stage}" -le "$1" ] && [ "$1" -le "${stop_stage}" ] && [[ "${skipped} " != *" $1 "* ]] &&
        log "Stage $1: $2"
}

skipped= # stages
[ "${skip_data_prep}" = false ] || skipped+=" 1 2 3"
[ "${skip_train}" = false ] || skipped+=" 4 5 6 7"
[ "${skip_eval}" = false ] || skipped+=" 8 9 10"
[ "${skip_packing}" = false ] || skipped+=" 11"
[ "${skip_upload_hf}" = false ] || skipped+=" 12"
dev_set=${valid_set:-${dev_set}}
[ "${systems}" = all ] && systems=${all_systems}
pretraining=()
if [ "${pretrain_teacher}" = true ]; then
    [ -z "${teacher}" ] || die "--pretrain_teacher true makes ${pretrain_out}N and takes it as the" \
        "teacher: leave out one of it and --teacher ${teacher}; --pretrain_out names another"
    teacher=${pretrain_out}$(wc -w <<<"${pretrain_configs}")
    pretraining=(
        --pretrain_configs "${pretrain_configs}" --pretrain_out "${pretrain_out}"
        --pretrain_sets "${pretrain_sets:-data/${train_set}}"
    )
fi
exp=${expdir}${tag:+/${tag}}/${budget} report=${expdir}${tag:+/${tag}}/report
# The processes of one training.
ranks=(
    --ngpu "${ngpu}" --num_procs "${num_procs}" --num_nodes "${num_nodes}"
    --dist_backend "${dist_backend}"
)
# The options that decide the outputs, for every command that compares outputs with their inputs. The
# driver has set ${task}, ${task_config}, ${classifier}, ${label} and ${tokens}.
plan=(
    --task "${task}" --budget "${budget}" --exp "${exp}" --classifier "${classifier}"
    --distill_config "${distill_config}" --task_config "${task_config}" --teacher "${teacher}"
    --train_set "${train_set}" --dev_set "${dev_set}" --test_sets "${test_sets}"
    --distill_set "${distill_set}" --distill_dev_set "${distill_dev_set}"
    --train_distortion "${train_distortion}" --dev_distortion "${dev_distortion}"
    --asr_distortion "${asr_distortion}"
    --tokens "${tokens}" --token_type "${token_type-bpe}" --label "${label-}"
    --checkpoint "${checkpoint}" --students "${students}" "--decode_options=${decode_options-}"
    "--score_options=${score_options-}" "--distill_args=${distill_args}" "--task_args=${task_args}"
)
# Where the recipe's corpus, noises and rooms are, unless given on the command line.
. "${root}/egs/db.sh"
for _name in "$(basename "$(dirname "${PWD}")")" noise rir musan wham fsd50k dns; do
    _root=${_name^^}
    if declare -p "${_name}" >/dev/null 2>&1 && [ -z "${!_name}" ]; then
        printf -v "${_name}" '%s' "${!_root-}"
    fi
done
sources=(
    --noise "${noise}" --rir "${rir}" --musan "${musan}" --wham "${wham}" --fsd50k "${fsd50k}"
    --dns "${dns}"
)
# First, because the check reads data/ if stages are left out.
[ -z "${dumpdir}" ] || bin link_data "${dumpdir}"
checked=$(on_cluster check_recipe "${plan[@]}" "${sources[@]}" --protocols "${protocol}" \
    --noise_source "${noise_source}" --systems "${systems}" --seeds "${seeds}" --tag "${tag}" \
    --stage "${stage}" --stop_stage "${stop_stage}" --nj "${nj}" "${ranks[@]}" \
    "--nbpe=${nbpe-}" --folds "${folds-}" --skipped_stages "${skipped}" --upload_hf "${upload_hf}" \
    "${pretraining[@]}" --preset "${preset-}" --dumpdir "${dumpdir}" --check_disk "${check_disk}")
{
    read -r teacher && read -r protocol && { read -r cached || true; }
    # GPUs of each of ${nj} side by side, "0,1 2,3"; empty without --ngpu or with --cluster
    read -r train_devices || true
    read -r decode_devices || true
} <<<"${checked}"
plan+=(--protocols "${protocol}")
device=$([ "${ngpu}" -gt 0 ] && echo cuda || echo cpu)
# shellcheck disable=SC2086  # several test sets
test_dirs=$(printf 'data/%s ' ${test_sets})

# each_system FUNCTION [KIND]: FUNCTION SYSTEM SEED DIR for every system and seed, ${nj} at a time,
# or as jobs of that KIND. Those at a time have a GPU, or --ngpu, each, shared if there are too few.
# Where stderr is a terminal, each of a KIND has a line of it (espnet_robust/common/live.py), and what
# it prints is shown when all have ended.
exec 3>&2
each_system() {
    local system seed dir job commands='' line='' lines=0 pid pids=() failed=0 running=0
    local shown=.shown${NODE_RANK-} # several nodes may run this
    local devices=() slot slots=()
    case ${2-} in
        train) read -ra devices <<<"${train_devices-}" ;;
        decode) read -ra devices <<<"${decode_devices-}" ;;
    esac
    [ "${#devices[@]}" = 0 ] || local -x CUDA_VISIBLE_DEVICES
    [ -z "${2-}" ] || [ -n "${cluster}" ] || lines=$(live_lines)
    rm -f "${exp}"/*/"${shown}"
    for seed in ${seeds}; do
        for system in ${systems}; do
            dir=${exp}/${system}_seed${seed} job=${cluster:+$1_${system}_seed${seed}}
            if [ -n "${job}" ]; then "$1" "${system}" "${seed}" "${dir}"; continue; fi
            if [ "$((running++))" -ge "${nj}" ]; then wait -n || failed=1; fi
            [ "${failed}" = 0 ] || break 2
            for ((slot = 0; slot < nj - 1; slot++)); do # to the first that is free
                kill -0 "${slots[slot]:-none}" 2>/dev/null || break
            done
            [ "${#devices[@]}" = 0 ] || CUDA_VISIBLE_DEVICES=${devices[slot]}
            mkdir -p "${dir}"
            [ "${lines}" = 0 ] || line="3 $((lines - running + 1))"
            if [ -n "${line}" ]; then
                ESPNET_ROBUST_LINE=${line} "$1" "${system}" "${seed}" "${dir}" &>"${dir}/${shown}" &
            else
                "$1" "${system}" "${seed}" "${dir}" &
            fi
            pids+=("$!") slots[slot]=$!
        done
    done
    submit "$1" "${2-data}"
    # One by one: wait -n does not tell of a job that has ended before it is called.
    for pid in "${pids[@]}"; do wait "${pid}" || failed=1; done
    [ -z "${line}" ] || cat "${exp}"/*/"${shown}" >&2
    rm -f "${exp}"/*/"${shown}"
    [ "${failed}" = 0 ] || die "a system failed; see above"
}

# live_lines: prints a line for each job on the terminal; to stdout how many there are, 0 if no
# terminal could show them.
live_lines() {
    local system seed lines
    lines=$(($(wc -w <<<"${systems}") * $(wc -w <<<"${seeds}")))
    if [ ! -t 3 ] || [ "${lines}" -ge "$(stty size <&3 | cut -d ' ' -f 1)" ]; then
        echo 0
        return
    fi
    for seed in ${seeds}; do
        for system in ${systems}; do echo "${system} ${seed}" >&3; done
    done
    echo "${lines}"
}

# submit TITLE KIND: the jobs whose commands were kept, if there are any, to their end.
submit() {
    [ -z "${commands}" ] || on_cluster run_jobs --jobs_dir "${exp}/jobs" --title "$1" --kind "$2" \
        --ngpu "${ngpu}" --num_nodes "${num_nodes}" <<<"${commands}"
}

# distilled: those of the systems that are.
distilled() {
    local system
    for system in ${systems}; do
        case ${system} in teacher | logmel) ;; *) echo "${system}" ;; esac
    done
}

# each_student FUNCTION [KIND]: each_system, of those that are distilled.
each_student() { systems=$(distilled) each_system "$@"; }

# logged FILE COMMAND...: output to FILE; of a failure, what it says.
logged() {
    if [ -n "${job-}" ]; then "${@:2}" && return; fi # it has a log of its own
    [ -n "${ESPNET_ROBUST_LINE-}" ] || log "$1: begins"
    "${@:2}" >"$1" 2>&1 && return
    grep '^error: ' "$1" >&2 || tail -n 5 "$1" >&2
    return 1
}

redo_option=()
[ "${redo}" = false ] || redo_option=(--redo)

# train TASK SYSTEM SEED: one training, unless it is done.
train() { bin train "${plan[@]}" "${redo_option[@]}" "${ranks[@]}" -- "$@"; }
distil() { train distill "$1" "$2"; }
train_one() { train "${task}" "$1" "$2"; }
# All in one process: most of the time goes into starting it.
export_all() {
    local system seed dir pairs=() job=${cluster:+export} commands=
    for seed in ${seeds}; do
        for system in $(distilled); do
            dir=${exp}/${system}_seed${seed} pairs+=("${dir}/distill" "${dir}/student")
        done
    done
    [ "${#pairs[@]}" = 0 ] || bin export_student "${pairs[@]}"
    submit export_all data
}
borrow_one() { bin borrow_student "${students}/$1_seed$2/student" "$3/student"; }

prepare_corpus() {
    local first sets=()
    if want 1 "corpus -> data/{${train_set},${dev_set},${test_sets// /,}}"; then
        # shellcheck disable=SC2086  # several options
        here local/data.sh ${data_opts}
    fi
    # shellcheck disable=SC2086  # several data dirs
    first=$(bin list_conditions --first ${test_dirs})
    # A classifier needs classes, not words.
    # shellcheck disable=SC2086
    bin validate_data_dir ${label:+--need wav.scp utt2spk "${label}"} --audio --add_tables \
        "data/${train_set}" "data/${dev_set}" ${first}
    sets=(${distill_set:+"${distill_set}"} ${distill_dev_set:+"${distill_dev_set}"})
    [ "${#sets[@]}" = 0 ] ||
        bin validate_data_dir --need wav.scp --audio --add_tables "${sets[@]}"
    refuse_segments "data/${train_set}" "data/${dev_set}" "${sets[@]}"
}

# refuse_segments DATA_DIR...: in training ESPnet reads wav.scp alone.
refuse_segments() {
    local set
    for set in "$@"; do
        [ ! -e "${set}/segments" ] || die "${set}/segments: ESPnet would take whole recordings for" \
            "utterances; fix: espnet-robust data cut_segments ${set@Q} NEW_DATA_DIR"
    done
}

stage_noise() {
    if want 2 "noises and rooms -> data/"; then bin prepare_noise "${sources[@]}" "${noise_source}"; fi
}

prepare_students() {
    local set config job commands=
    # Of several folds the driver has done it once for all.
    [ -n "${fold-}" ] || stage_noise

    if want 3 "distorted copies -> data/{${test_sets// /,}}_*" && [ "${protocol}" != none ]; then
        for set in ${test_sets}; do
            for config in ${protocol}; do
                on_cluster make_protocol --config "${config}" --seed 0 --nj "${nj}" "data/${set}" "data/${set}"
            done
        done
    fi

    if want 4 "teacher ${teacher}"; then
        if [ "${pretrain_teacher}" = true ]; then
            job=${cluster:+teacher}
            # shellcheck disable=SC2086  # several files, several data dirs
            OMP_NUM_THREADS=${nj} bin pretrain_teacher "${redo_option[@]}" \
                --config ${pretrain_configs} --device "${device}" --out_prefix "${pretrain_out}" \
                ${pretrain_sets:-data/${train_set}}
            # It knows no ranks: one process, on one GPU at most.
            OMP_NUM_THREADS=${nj} num_nodes=1 ngpu=$((ngpu > 0)) submit teacher train
            job=
        fi
        # It takes seconds to load, and the next stages load it too and say why they cannot.
        [ "${stop_stage}" -gt 4 ] || bin describe_model "${teacher}"
    fi

    if [ -n "${students}" ]; then
        if want 6 "students of ${students}"; then each_student borrow_one; fi
    else
        if want 5 "distil ${systems}"; then
            [ -z "${cached}" ] || on_cluster fill_targets "${plan[@]}" --systems "${cached}" \
                --seeds "${seeds}" --nj "${nj}" --ngpu "${ngpu}" --jobs_dir "${exp}/jobs"
            each_student distil train
        fi
        if want 6 "export the students"; then export_all; fi
    fi
}

# All conditions of all test sets in one process.
decode_one() {
    # shellcheck disable=SC2086  # several test sets
    logged "$3/decode.log" bin "${decode_command[@]}" --exp "$3/${task}" \
        --checkpoint "${checkpoint}" --out "$3/decode" --device "${device}" \
        --protocols ${protocol} --test_sets ${test_dirs}
}

score_one() {
    # shellcheck disable=SC2086  # several test sets
    bin "${score_command[@]}" --system "$1" --seed "$2" --decode_dir "$3/decode" \
        --out "$3/scores.json" --protocols ${protocol} --test_sets ${test_dirs}
}

evaluate() {
    local shown
    if want 8 "decode every condition of ${test_sets}"; then each_system decode_one decode; fi
    if want 9 "score"; then each_system score_one; fi
    if want 10 "table and plot -> ${report}"; then
        # The others of this experiment too, as far as they are current.
        shown=$(bin list_systems "${plan[@]}" --systems "${systems}" --seeds "${seeds}")
        systems=${shown} report_on "${exp}"
    fi
}

# report_on EXP: the tables and plots of an experiment, shown.
report_on() {
    bin report --exp "$1" --out "${report}" --baseline "${baseline}" --systems "${systems}" \
        --seeds "${seeds}" --test_sets "${test_sets}" --results "${results}" \
        --name "${tag:+${tag}/}${budget}" --command "./run.sh${_given}"
}

pack_one() {
    bin pack "$3" --checkpoint "${checkpoint}" --noise_source "${noise_source}" \
        --teacher "${teacher}" --command "./run.sh${_given}" --upload_hf "${upload_hf}" \
        --licence "${licence}"
}

upload_one() { bin upload --upload_hf "${upload_hf}" "$3"; }

publish() {
    if want 11 "pack -> ${exp}/*/packed"; then
        # Without stages 8 and 9 the scores may be those of a model that has been trained again.
        bin list_systems "${plan[@]}" --systems "${systems}" --seeds "${seeds}" --check_only
        each_system pack_one
    fi
    if want 12 "upload to ${upload_hf}-*"; then cluster='' each_system upload_one; fi
}
