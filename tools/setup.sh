#!/usr/bin/env bash
# Make .venv: the packages pinned in tools/ and this package, importable from the checkout.
#
#   tools/setup.sh
#
# Does nothing when .venv holds these pins already. An interrupted set-up is redone.
#   PYTHON=...         interpreter to build from, 3.11 to 3.13; default: the first such of
#                      python3.11, python3.12, python3.13 and python3
#   DEVICE=cpu|cuda    build of torch; default: cuda where nvidia-smi works, else cpu
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET

venv=.venv
stamp=${venv}/complete # written last: "<hash of the pins and of the place> <device>"
pins=(tools/constraints.txt tools/requirements.txt tools/requirements-nodeps.txt)

say() { echo "setup: $*"; }
die() {
    echo "error: setup: $*" >&2
    exit 1
}

# Python's version, such as 3.11; nothing where it does not run (a pyenv shim, say).
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# Two set-ups at once (two recipes, say): the second waits, then finds the work done.
if command -v flock >/dev/null; then
    exec 9<tools/setup.sh
    flock --nonblock 9 || { say "waiting for another set-up in this checkout" && flock 9; }
fi

# --- up to date? -----------------------------------------------------------------------------
# The place counts: a virtual environment holds absolute paths and does not survive a move.
hash=$({ cat "${pins[@]}" && pwd; } | sha256sum | cut -d ' ' -f 1)
detected=cpu
if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
    detected=cuda
fi
old_hash="" old_device=""
if [ -f "${stamp}" ]; then
    read -r old_hash old_device <"${stamp}" || true
fi
# What is there stays, whatever this host has: clusters share a checkout between hosts with and
# without a GPU.
device=${DEVICE:-${old_device:-${detected}}}
case ${device} in
    cpu | cuda) ;;
    *) die "DEVICE must be cpu or cuda, not '${device}'" ;;
esac
if [ "${device} ${detected}" = "cpu cuda" ] && [ -z "${DEVICE:-}" ]; then
    say "there is a GPU here, ${venv} holds torch for CPU; to rebuild it: DEVICE=cuda make setup"
fi

# --- system packages -------------------------------------------------------------------------
as_root=false
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    as_root=true
fi
apt_install() {
    say "apt-get install $*"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "$@"; } </dev/null >/dev/null
}
missing=()
for program in sox espeak-ng; do
    command -v "${program}" >/dev/null || missing+=("${program}")
done
if [ ${#missing[@]} -gt 0 ] && ${as_root}; then
    if apt_install "${missing[@]}"; then
        missing=()
    fi
fi
say_missing() {
    if [ ${#missing[@]} -gt 0 ]; then
        say "still missing on this machine: ${missing[*]}; install with: sudo apt-get install ${missing[*]}"
    fi
}

old_version=$(version_of "${venv}/bin/python")
if [ "${old_hash} ${old_device}" = "${hash} ${device}" ] && [ -n "${old_version}" ] &&
    { [ -z "${PYTHON:-}" ] || [ "$(version_of "${PYTHON}")" = "${old_version}" ]; }; then
    say "${venv} is up to date (${device})"
    say_missing
    exit 0
fi

# To build it anew would empty the other checkout's, under the feet of what runs there.
[ ! -L "${venv}" ] ||
    die "${venv} is a link to the environment of another checkout; remove it, to make one here"

# --- Python ----------------------------------------------------------------------------------
suits() { case $(version_of "$1") in 3.11 | 3.12 | 3.13) true ;; *) false ;; esac }

python=${PYTHON:-}
for candidate in python3.11 python3.12 python3.13 python3; do
    if [ -z "${python}" ] && suits "${candidate}"; then
        python=$(command -v "${candidate}")
    fi
done
if [ -z "${python}" ]; then
    version=$(version_of python3)
    die "no Python 3.11, 3.12 or 3.13 found${version:+ (python3 is ${version})}; install one," \
        "or name it: PYTHON=... make setup"
fi
version=$(version_of "${python}")
[ -n "${version}" ] || die "'${python}' does not run; name a Python 3.11 to 3.13: PYTHON=... make setup"
suits "${python}" ||
    die "'${python}' is Python ${version}, the pins are for 3.11 to 3.13; name one: PYTHON=... make setup"
if ! "${python}" -c "import ensurepip, venv" 2>/dev/null; then
    if ${as_root}; then apt_install python3-venv || true; fi
    "${python}" -c "import ensurepip, venv" 2>/dev/null ||
        die "'${python}' cannot make virtual environments; install with: sudo apt-get install python3-venv"
fi

# --- .venv -----------------------------------------------------------------------------------
start=${SECONDS}
say "making ${venv} with ${python} (${device}); takes a few minutes"
rm -f "${stamp}"
"${python}" -m venv --clear "${venv}"
pip() { "${venv}/bin/python" -m pip --no-input --disable-pip-version-check "$@" </dev/null; }
install() { pip install -qq --progress-bar off -c tools/constraints.txt "$@"; }

torch=$(grep '^torch==' tools/constraints.txt)
say "1/4 ${torch} for ${device}"
if [ "${device}" = cuda ]; then
    install "${torch/==/===}" # the build without a suffix, wherever a +cpu one is on offer too
elif ! install "${torch}+cpu" 2>/dev/null; then
    # PyPI has no CPU build for Linux; PyTorch's own index has.
    install --extra-index-url https://download.pytorch.org/whl/cpu "${torch}+cpu"
fi

say "2/4 tools/requirements.txt"
headers=$("${python}" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
if ! install -r tools/requirements.txt; then
    [ -f "${headers}" ] || die "a package has no wheel for this machine, and to compile it" \
        "Python's headers are missing; install with: sudo apt-get install python${version}-dev"
    die "pip failed, see above"
fi

say "3/4 ESPnet"
install --no-deps --ignore-requires-python -r tools/requirements-nodeps.txt
# torchaudio is linked against CUDA. Beside a torch without it, take its libraries away: it then
# runs its Python paths, as its loader documents. Only ESPnet imports it.
if ! "${venv}/bin/python" -W ignore -c "import torchaudio" 2>/dev/null; then
    rm -f "${venv}"/lib/python*/site-packages/torchaudio/lib/*.so
fi

say "4/4 espnet_robust, from this checkout"
install --no-deps --no-build-isolation -e .
check=$("${venv}/bin/python" -W ignore -c "import espnet2.tasks.asr, espnet_robust" 2>&1) || {
    echo "${check}" >&2
    die "ESPnet does not import, see above"
}

echo "${hash} ${device}" >"${stamp}.tmp"
mv "${stamp}.tmp" "${stamp}"
say "${venv} is complete after $((SECONDS - start)) s, $(du -sh "${venv}" | cut -f 1)"
say_missing
