# shellcheck shell=bash disable=SC2154  # options come from options.sh
# Noises and rooms of the recipes; to be sourced after utils/log.sh.

# check_noise_source: refuses an unknown ${noise_source}, or one whose directories are not named.
check_noise_source() {
    local needed directory
    case ${noise_source} in
        synthetic) needed= ;;
        esc10) needed="noise rir" ;;
        musan) needed="noise rir noise_ood rir_ood" ;;
        *) die "noise_source '${noise_source}' is not synthetic, esc10 or musan" ;;
    esac
    for directory in ${needed}; do
        [ -n "${!directory}" ] ||
            die "noises of ${noise_source} need --${directory} DIR (or --noise_source synthetic)"
    done
}

# prepare_noise: data/{noise,rir}_{train,dev,test,ood} from ${noise_source}:
#
#   synthetic  made here: mini_noise and mini_rooms
#   esc10      ${noise} holds esc10/foldN/ (1 to 3 train, 4 dev, 5 test) and outdoor_indoor/ (ood);
#              ${rir} holds a directory for each measured room; no room is in two sets
#   musan      ${noise} is MUSAN, ${rir} OpenSLR 28, ${noise_ood} and ${rir_ood} DNS-Challenge's
prepare_noise() {
    local kind rooms_ood=Jack_Lyons_Hall_University_of_York,St._Margarets_Church
    rooms_ood+=,large_church,large_hall,medium_chamber,medium_hall
    case ${noise_source} in
        synthetic)
            prepare mini_noise --seed 0
            prepare mini_rooms --seed 0
            ;;
        esc10)
            prepare esc50 --root "${noise}/esc10"
            prepare audio_folder --root "${noise}/outdoor_indoor" --name noise_ood
            prepare rir_folder --root "${rir}" --name rir_train \
                --groups surrey_room_A,Arthur_Sykes_Rymer_Auditorium
            prepare rir_folder --root "${rir}" --name rir_dev --groups rir_clap
            prepare rir_folder --root "${rir}" --name rir_test --groups Genesis_6_Studio_Live_Room
            prepare rir_folder --root "${rir}" --name rir_ood --groups "${rooms_ood}"
            ;;
        musan)
            prepare musan --root "${noise}" --name noise
            prepare rirs_noises --root "${rir}" --kind simulated --name rir
            prepare dns_noise --root "${noise_ood}" --name dns_noise
            prepare dns_rir --root "${rir_ood}" --name dns_rir
            for kind in noise rir; do
                python -m espnet_robust.bin.combine_data_dirs "data/dns_${kind}_test" \
                    "data/${kind}_ood"
            done
            ;;
    esac
}

prepare() { python -m espnet_robust.bin.prepare_corpus "$@" --out data; }
