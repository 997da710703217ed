# shellcheck shell=bash disable=SC2034  # stages.sh reads them
# Where corpora, noises and rooms are on this machine, for all recipes. What run.sh is given with
# --NAME DIR comes first.
AN4=
CHIME4=
FLUENT_SPEECH_COMMANDS=
FSDD=
IEMOCAP=
LIBRISPEECH=
SPEECH_COMMANDS=
# Noises and rooms.
NOISE=
RIR=
MUSAN=
WHAM=
FSD50K=
DNS=
