#!/usr/bin/env bash
# Fill a folder with the wheels that tools/check_gpu.sh needs on a machine without a network, whose
# Python 3.12 has torch, torchaudio, transformers and the usual scientific packages, but no ESPnet.
#
#   tools/fill_wheels.sh DIR
#
# Versions are those pinned in tools/; what the machine has already is not brought.
#   PYTHON=...    interpreter with pip; default: .venv's, else python3
set -euo pipefail

[ $# = 1 ] || {
    echo "usage: tools/fill_wheels.sh DIR" >&2
    exit 1
}
mkdir -p "$1"
dir=$(realpath "$1")
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
command -v "${python}" >/dev/null || python=python3

packages=(
    # this package
    kaldiio pyroomacoustics RapidFuzz sox soundfile soxr cffi pycparser
    librosa audioread decorator pooch platformdirs omegaconf antlr4-python3-runtime
    # ESPnet and what its tasks import
    espnet omniio editdistance fast_bss_eval humanfriendly hydra-core loralib nltk torch-complex
    torcheval
    typeguard
)
pins=(tools/requirements.txt tools/requirements-nodeps.txt tools/constraints.txt)
wanted=()
for name in "${packages[@]}"; do
    line=$(grep -ih "^${name}==" "${pins[@]}" | head -n 1)
    [ -n "${line}" ] || {
        echo "error: fill_wheels: ${name} is not pinned in ${pins[*]}" >&2
        exit 1
    }
    wanted+=("${line%% *}")
done

# Older wheels would be installed beside these.
rm -f "${dir}"/*.whl
platforms=()
for tag in 2014 1 2010 _2_17 _2_24 _2_27 _2_28 _2_31 _2_34 _2_35 _2_39; do
    platforms+=(--platform "manylinux${tag}_x86_64")
done
for package in "${wanted[@]}"; do
    # A package without a wheel has no compiled code here: what is built of it fits any Python.
    "${python}" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 \
        --implementation cp "${platforms[@]}" --dest "${dir}" "${package}" 2>/dev/null ||
        "${python}" -m pip wheel --quiet --no-deps --no-binary=:all: --wheel-dir "${dir}" \
            "${package}"
done
if compgen -G "${dir}/*linux_x86_64.whl" | grep -v manylinux; then
    echo "error: fill_wheels: these were compiled here and may not run elsewhere" >&2
    exit 1
fi
echo "$(find "${dir}" -name '*.whl' | wc -l) wheels, $(du -sh "${dir}" | cut -f 1) in ${dir}"
