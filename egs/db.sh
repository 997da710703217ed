# shellcheck shell=bash disable=SC2034  # stages.sh reads them
# Where corpora, noises and rooms are on this machine, for all recipes. An option --NAME DIR of run.sh
# takes precedence.
AN4=
CHIME4=
EMODB=
FLUENT_SPEECH_COMMANDS=
FSDD=
IEMOCAP=
LIBRISPEECH=
NEMO=
SPEECH_COMMANDS=
# Noises and rooms.
NOISE=
RIR=
MUSAN=
WHAM=
FSD50K=
DNS=
