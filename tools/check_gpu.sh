#!/usr/bin/env bash
# What only a GPU can show, in one run of at most 7 minutes that needs no network: see "parts".
# Tables go to stdout and OUT/tables.md, everything to OUT/log.txt, figures to OUT/figures.json. A
# part that fails or takes too long does not stop the others; the exit status is then 1.
#
#   tools/check_gpu.sh --out OUT --wheels WHEELS
#   tools/check_gpu.sh --out OUT --device cpu --tiny true    # does it run?
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

out=check_gpu    # directory
wheels=          # folder filled by tools/fill_wheels.sh: its packages come before those that are there
device=cuda      # or cpu
tiny=false       # small models and short audio: figures that mean nothing
limit=410        # seconds for everything
patience=1       # multiplies the seconds that each part may take
# machine   processor, GPU, versions
# steps     distillation steps at full size, all as long: speed, share of the matrix peak, memory
# loading   waiting for data with 1 to 16 workers
# uneven    steps with utterances of 9 to 15.6 s
# encoder   `blstm` against ESPnet's `rnn`
# devices   speech models, frontend and CTC as on the CPU, within 1e-3
# tests     those that need a GPU
# recipe    stages 5 to 10 of egs/mini/asr1, two epochs of two steps, on noise
# compiled  steps compiled; at the end, for how long that takes is hard to say
parts=           # "steps tests": only these; default: all, on a CPU without `compiled`

. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
[ $# = 0 ] || die "unexpected '$1': quote lists, --parts \"steps tests\""

all="machine steps loading uneven encoder devices tests recipe"
case ${device} in
    cpu) : "${parts:=${all}}" ;;
    cuda) : "${parts:=${all} compiled}" ;;
    *) die "device is cpu or cuda, not '${device}'" ;;
esac
for name in ${parts}; do
    [[ " ${all} compiled " == *" ${name} "* ]] || die "no part '${name}': they are ${all} compiled"
done
mkdir -p "${out}"
out=$(realpath "${out}")
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
export root work device

# The interpreter, also under the name that recipes call.
python=${PYTHON:-${root}/.venv/bin/python}
[ -x "${python}" ] || python=$(command -v python3)
python=$(cd "$(dirname "${python}")" && pwd)/$(basename "${python}") # links stay: they mark a venv
mkdir "${work}/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "${python}" >"${work}/bin/python"
chmod +x "${work}/bin/python"
export PATH=${work}/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore HF_HUB_OFFLINE=1
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONPATH=${root}${PYTHONPATH:+:${PYTHONPATH}}
if [ -n "${wheels}" ]; then
    python -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
        --target "${work}/site" "${wheels}"/*.whl
    PYTHONPATH=${PYTHONPATH}:${work}/site
fi

# run NAME LIMIT COMMAND...: a part, if it is wanted; what it says is shown by `show`.
run() {
    local name=$1 most=$(($2 * patience)) began=${SECONDS} status=0
    shift 2
    [[ " ${parts} " == *" ${name} "* ]] || return 0
    [ "${most}" -lt $((limit - SECONDS)) ] || most=$((limit - SECONDS))
    if [ "${most}" -ge 1 ]; then
        timeout --kill-after=5 "${most}" "$@" >"${work}/${name}.md" 2>"${work}/${name}.err" ||
            status=$?
    else
        status=124
    fi
    echo "${status} $((SECONDS - began))" >"${work}/${name}.status"
}

# show NAME: the tables of a part that has run; of one that failed also the end of what it said.
show() {
    local name=$1 status seconds verdict=ok
    [ -f "${work}/${name}.status" ] || return 0
    read -r status seconds <"${work}/${name}.status"
    [ "${status}" = 0 ] || verdict="FAILED, exit status ${status}"
    [ "${status}" != 124 ] || verdict="FAILED, out of time"
    touch "${work}/${name}.md" "${work}/${name}.err"
    {
        printf '\n## %s: %s, %s s\n\n' "${name}" "${verdict}" "${seconds}"
        cat "${work}/${name}.md"
        if [ "${status}" != 0 ]; then tail -n 12 "${work}/${name}.err" | cut -c 1-200; fi
    } | tee -a "${out}/tables.md" "${out}/log.txt"
    printf '\n### stderr of %s\n\n' "${name}" | cat - "${work}/${name}.err" >>"${out}/log.txt"
}

measure() {
    local name=$1 most=$2
    run "${name}" "${most}" python "${root}/tools/$3" "${@:4}" --device "${device}" \
        --json "${work}/${name}.json"
    show "${name}"
}

# Stages of a recipe that train, decode and score, in a copy of the checkout.
recipe() {
    set -euo pipefail
    mkdir "${work}/checkout"
    tar -C "${root}" --exclude './egs/*/*/data' --exclude './egs/*/*/exp' --exclude __pycache__ \
        -cf - ./conf ./egs ./espnet_robust ./tools ./utils | tar -C "${work}/checkout" -xf -
    cd "${work}/checkout/egs/mini/asr1"
    python ../../../tools/make_noise_corpus.py
    ./run.sh --stage 5 --stop_stage 10 --budget tiny --systems "teacher distilhubert cdm2_dat" \
        --nj 3 --protocol none --ngpu "$([ "${device}" = cpu ] && echo 0 || echo 1)" >&2 || {
        tail -n 20 exp/tiny/*/*.log >&2
        exit 1
    }
    # Its last column names the processor, or the model of the GPU.
    [ "$(tail -n +2 exp/report/wer.csv | grep -c ",cpu")" = "$([ "${device}" = cpu ] && echo 3 || echo 0)" ]
    cat exp/report/wer.csv
}
export -f recipe

rm -f "${out}"/{tables.md,log.txt,figures.json}
size=(--batch 24 --seconds 15.6 15.6 --rounds 5 --threads 8)
uneven=(--batch 24 --seconds 9 15.6 --rounds 3 --threads 8)
loading=(--batch 24 --workers 1 2 4 8 16)
tiny_models=()
if [ "${tiny}" = true ]; then
    size=(--batch 2 --seconds 1 1 --rounds 2 --threads 1 --tiny)
    uneven=(--batch 3 --seconds 0.5 1 --rounds 2 --threads 1 --tiny)
    loading=(--batch 2 --seconds 3 --limit 3 --workers 1 2 --tiny)
    tiny_models=(--tiny)
fi
measure machine 60 describe_machine.py
measure steps 120 benchmark_distill.py "${size[@]}" --peak --amp none bf16 \
    --setups setup1 "setup1 cached" setup2 "setup2 + adversary"
measure loading 110 benchmark_loading.py "${loading[@]}"
measure uneven 70 benchmark_distill.py "${uneven[@]}" --amp none bf16 --setups setup2
measure encoder 40 benchmark_encoder.py

# These take no time that is stated, so they may run at once.
run devices 90 python "${root}/tools/compare_devices.py" --device "${device}" \
    "${tiny_models[@]}" --json "${work}/devices.json" &
cd "${root}"
mapfile -t files < <(grep -rl 'mark\.gpu' test --include='test_*.py')
run tests 120 python -m pytest -q -p no:cacheprovider -m gpu "${files[@]}" &
run recipe 170 bash -c recipe &
wait
for name in devices tests recipe; do show "${name}"; done

measure compiled 300 benchmark_distill.py "${size[@]}" --peak --amp bf16 "bf16 compiled" \
    --setups "setup1 cached" setup2 "setup2 + adversary"

python tools/gather_figures.py "${work}" --out "${out}/figures.json"
