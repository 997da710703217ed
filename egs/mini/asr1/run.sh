#!/usr/bin/env bash
# Self-contained: synthesised smart-home commands, synthetic noises and rooms, and a teacher that
# comes with the recipe. All options: ./run.sh --help
set -euo pipefail
cd "$(dirname "$0")"

exec ../../TEMPLATE/asr1/asr.sh --token_type bpe --nbpe 150 "$@"
