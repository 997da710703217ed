#!/usr/bin/env bash
# From a corpus to a table of WER by distortion. A recipe's run.sh calls this in its own directory
# and sets its options; local/data.sh there prepares its corpus.
#
#   stage 1  corpus -> data/{train,dev,test}       stage 6  export the students
#         2  noises and rooms -> data/{noise,rir}  7  train a recogniser on each system
#         3  distorted copies of the test sets     8  decode every condition
#         4  teacher                               9  score
#         5  distil a student for each system      10 table and plot -> exp/report
#        11  pack, if asked for                    12  upload to the hub, if asked for
#
# A finished stage is skipped; an interrupted one resumes where it stopped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
readonly root
. "${root}/egs/TEMPLATE/options.sh"

asr_config=      # the recipe's changes to conf/{downstream,asr}/*.yaml; default: its conf/asr.yaml
token_type=bpe   # or char, or word if every word is known
nbpe=100
asr_args=        # ESPnet training options: "--max_epoch 9 --use_wandb true"
decode_options=  # options of espnet-robust decode: "--method beam --beam_size 20"
inference_args=  # ESPnet's name for decode_options
score_options=   # options of espnet-robust score, how texts are compared: "--case lower
                 # --punctuation drop --symbols FILE --mapping FILE --alignment sclite"

. "${root}/utils/log.sh"
. "${root}/utils/parse_options.sh"
task=asr task_config=${asr_config} task_args=${asr_args} classifier=
decode_options=${inference_args:-${decode_options}}
tokens=data/tokens_${train_set}_${token_type}
[ "${token_type}" = bpe ] && tokens+="${nbpe}"
. "${root}/egs/TEMPLATE/stages.sh"
# shellcheck disable=SC2206  # several options
decode_command=(decode ${decode_options})
# shellcheck disable=SC2206  # several options
score_command=(score ${score_options})

prepare_corpus
prepare_students

if want 7 "recognisers on ${systems}"; then
    bin make_tokens --type "${token_type}" --size "${nbpe}" --out "${tokens}" "data/${train_set}/text"
    each_system train_one train
fi
evaluate
publish
