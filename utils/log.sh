# shellcheck shell=bash
# Messages of recipes; to be sourced.

# log MESSAGE...: a line with the time, on stderr, so that stdout stays free for results.
log() {
    echo "$(date '+%Y-%m-%d %H:%M:%S') $*" >&2
}

# die MESSAGE...: one line on stderr, exit status 1.
die() {
    echo "error: $*" >&2
    exit 1
}
