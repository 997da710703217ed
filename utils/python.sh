# shellcheck shell=bash
# The interpreter of recipes; to be sourced after utils/log.sh, with ${root} the checkout.
# The project's own .venv where `make setup` has made it, otherwise the environment's python.

# shellcheck disable=SC2154  # root is the caller's
[[ ${root} != *:* ]] ||
    die "${root}: PATH and PYTHONPATH cannot hold a path with a colon; move the checkout"
if [ -x "${root}/.venv/bin/python" ]; then
    PATH=${root}/.venv/bin:${PATH}
fi
export PYTHONPATH=${root}${PYTHONPATH:+:${PYTHONPATH}}
python -c 'import espnet2' 2>/dev/null || die "ESPnet is not installed here: run make setup in the checkout"
