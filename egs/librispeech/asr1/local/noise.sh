#!/usr/bin/env bash
# Noises and rooms -> data/noise_{train,dev,test,ood}, data/rir_{train,dev,test,ood}.
# Variables come from run.sh.
set -euo pipefail

prepare() { python -m espnet_robust.bin.prepare_corpus "$@" --out data; }

# shellcheck disable=SC2154
if [ "${preset}" = mini ]; then
    prepare esc50 --root "${noise}/esc10" # folds 1-3, 4, 5
    prepare audio_folder --root "${noise}/outdoor_indoor" --name noise_ood
    prepare rir_folder --root "${rir}" --name rir_train \
        --groups surrey_room_A,Arthur_Sykes_Rymer_Auditorium
    prepare rir_folder --root "${rir}" --name rir_dev --groups rir_clap
    prepare rir_folder --root "${rir}" --name rir_test --groups Genesis_6_Studio_Live_Room
    prepare rir_folder --root "${rir}" --name rir_ood --groups \
        Jack_Lyons_Hall_University_of_York,St._Margarets_Church,large_church,large_hall,medium_chamber,medium_hall
else
    prepare musan --root "${noise}" --name noise
    prepare rirs_noises --root "${rir}" --kind simulated --name rir
    prepare dns_noise --root "${noise_ood}" --name dns_noise
    prepare dns_rir --root "${rir_ood}" --name dns_rir
    for kind in noise rir; do
        python -m espnet_robust.bin.combine_data_dirs "data/dns_${kind}_test" "data/${kind}_ood"
    done
fi
