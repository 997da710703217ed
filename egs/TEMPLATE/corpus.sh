# shellcheck shell=bash
# Corpora in local/data.sh; to be sourced in a recipe's directory.

. "$(dirname "${BASH_SOURCE[0]}")/../../utils/log.sh"

# prepare CORPUS DIR OPTIONS...: run prepare_corpus CORPUS on DIR, the value of the option --CORPUS.
# With ${download} the corpus is first downloaded to DIR, or to downloads/; ${parts} names its parts,
# if not the default ones.
prepare() {
    local corpus=$1 root=$2
    shift 2
    if [ "${download:-false}" = true ]; then
        # shellcheck disable=SC2086  # several parts
        root=$(python -m espnet_robust.bin.download "${corpus}" "${root:-downloads}" ${parts-})
    fi
    [ -n "${root}" ] || die "name the directory of the corpus with --${corpus} DIR"
    python -m espnet_robust.bin.prepare_corpus "${corpus}" --root "${root}" "$@"
}
