"""Small MUSAN, WHAM!, FSD50K, DNS-Challenge, RIRS_NOISES and ESC-10, laid out as published."""

from espnet_robust.corpora.layout import share_of
from rehearsal.files import Content, Noise, Response, Tree, in_each_part

DEV_SHARE, TEST_SHARE = 0.05, 0.1  # the defaults of prepare_corpus
# Rooms that conf/noise/esc10.yaml names.
ROOMS = (
    "surrey_room_A", "Arthur_Sykes_Rymer_Auditorium", "rir_clap", "Genesis_6_Studio_Live_Room",
    "Jack_Lyons_Hall_University_of_York", "St._Margarets_Church", "large_church", "large_hall",
    "medium_chamber", "medium_hall",
)  # fmt: skip


def part_of(name: str) -> str:
    return share_of(name, DEV_SHARE, TEST_SHARE)


def musan() -> Tree:
    """Each source has a LICENSE; those of music and noise also have ANNOTATIONS."""
    files: dict[str, Content] = {"README": "MUSAN: A Music, Speech, and Noise Corpus\n"}
    for kind, source, count in (
        ("music", "fma", 300), ("music", "hd-classical", 76), ("noise", "free-sound", 843),
        ("noise", "sound-bible", 87), ("speech", "librivox", 173), ("speech", "us-gov", 253),
    ):  # fmt: skip
        names = in_each_part((f"{kind}-{source}-{n:04d}" for n in range(count)), part_of)
        files |= {f"{kind}/{source}/{name}.wav": Noise(3.0) for name in names}
        files[f"{kind}/{source}/LICENSE"] = "\n".join(names) + "\nPublic domain.\n"
        if kind != "speech":
            files[f"{kind}/{source}/ANNOTATIONS"] = "".join(f"{n} ambient N\n" for n in names)
    return files


def wham() -> Tree:
    """wham_noise.zip: each clip is named after the WSJ mixture that it was cut for."""
    files: dict[str, Content] = {"README.md": "WHAM! noise\n", "license.txt": "CC BY-NC 4.0\n"}
    for part in ("tr", "cv", "tt"):
        names = [f"{n}1ra010{n}_1.51{n}_20to013{n}_-1.51{n}" for n in range(2)]
        files |= {f"{part}/{name}.wav": Noise(4.0, channels=2) for name in names}
        files[f"metadata/noise_meta_{part}.csv"] = (
            "utterance_id,Noise Band,File ID,Location ID,Day\n"
            + "".join(f"{name}.wav,{n % 4 + 1},19,{n + 3},2\n" for n, name in enumerate(names))
        )  # fmt: skip
    return files


def fsd50k() -> Tree:
    """Clips of 0.3 to 30 s at 44.1 kHz; all labels of a clip are in one quoted field."""
    files: dict[str, Content] = {
        "FSD50K.doc/README.md": "# FSD50K\n",
        "FSD50K.doc/LICENSE-DATASET": "CC BY 4.0\n",
        "FSD50K.metadata/dev_clips_info_FSD50K.json": "{}\n",
        "FSD50K.ground_truth/vocabulary.csv": "0,Rain,/m/06mb1\n1,Bark,/m/05tny_\n",
        "FSD50K.ground_truth/dev.csv": (
            "fname,labels,mids,split\n"
            '64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train\n'
            '16399,"Rain,Water","/m/06mb1,/m/0838f",val\n'
        ),
        "FSD50K.ground_truth/eval.csv": (
            'fname,labels,mids\n37199,"Rain,Water","/m/06mb1,/m/0838f"\n'
            '175151,"Bark,Dog,Animal","/m/05tny_,/m/0bt9lr,/m/0jbk"\n'
        ),
    }
    for name, seconds in (("dev_audio/64760", 2.0), ("dev_audio/16399", 1.0),
                          ("eval_audio/37199", 0.3), ("eval_audio/175151", 4.0)):  # fmt: skip
        files[f"FSD50K.{name}.wav"] = Noise(seconds, rate=44100)
    return files


def dns() -> Tree:
    """datasets_fullband: noise named after YouTube ids, which may begin with - or _."""
    youtube = (f"{first}{n:02d}Kd_8xQ-w" for n in range(64) for first in "-_Zq")
    freesound = (f"door_Freesound_validated_{n}_0" for n in range(391588, 399999))
    names = in_each_part(youtube, part_of) + in_each_part(freesound, part_of)
    files: dict[str, Content] = {"README.md": "# DNS-Challenge datasets\n"}
    files |= {f"noise_fullband/{name}.wav": Noise(2.0, rate=48000) for name in names}
    room = "smallroom-Room{:03d}".format
    rooms = in_each_part((room(n) for n in range(1, 201)), part_of)
    below = "impulse_responses"
    for name in rooms:
        for n in (1, 2):
            path = f"{name.replace('-', '/')}/{name.partition('-')[2]}-{n:05d}.wav"
            files[f"{below}/SLR26/simulated_rirs_48k/{path}"] = Response(0.3, rate=48000)
    slr28 = {f"{below}/SLR28/RIRS_NOISES/{name}": item for name, item in rirs_noises().items()}
    return files | slr28 | {f"{below}/RIR_table_simple.csv": "wavfile,channel,T60_WB\n"}


def rirs_noises() -> Tree:
    """OpenSLR 28: responses with up to eight channels beside noise of the same rooms, and lists."""
    real = "real_rirs_isotropic_noises"
    rirs = [
        ("RVB2014_type1_rir_largeroom1_far_angla", 8), ("RVB2014_type2_rir_simroom3_near_anglb", 8),
        ("RWCP_type1_rir_cirline_e2a_imp070", 2), ("RWCP_type4_rir_000l", 1),
        ("air_type1_air_binaural_aula_carolina_1_3_90_3", 2),
        ("air_type1_air_phone_stairway1_hfrp", 2),
    ]  # fmt: skip
    noises = [("RVB2014_type1_noise_largeroom1_1", 8), ("RWCP_type5_noise_cirline_ofc_ambient1", 2)]
    listed = f"RIRS_NOISES/{real}"
    files: dict[str, Content] = {
        "README": "Room impulse responses and noises, OpenSLR 28\n",
        f"{real}/README": "sources: RVB2014, RWCP, AIR\n",
        f"{real}/rir_list": "".join(
            f"--rir-id {n:05d} --room-id {name.rpartition('_')[0]} {listed}/{name}.wav\n"
            for n, (name, _) in enumerate(rirs)
        ),
        f"{real}/noise_list": "".join(
            f"--noise-id {n:05d} --noise-type isotropic --room-linkage {name.split('_')[0]} "
            f"{listed}/{name}.wav\n"
            for n, (name, _) in enumerate(noises)
        ),
    }
    files |= {f"{real}/{name}.wav": Response(0.6, channels=c) for name, c in rirs}
    files |= {f"{real}/{name}.wav": Noise(2.0, channels=c) for name, c in noises}
    for size in ("small", "medium", "large"):
        top = f"simulated_rirs/{size}room"
        files[f"{top}/rir_list"] = f"--rir-id {size}-0001 --room-id {size}-001 {top}/x.wav\n"
        files[f"{top}/room_info"] = "Room001 3.2 4.1 2.8 0.5\n"
        for n in (1, 2, 3):
            files[f"{top}/Room{n:03d}/Room{n:03d}-00001.wav"] = Response(0.2 * n)
    sounds = [f"noise-free-sound-{n:04d}" for n in range(6)]
    files |= {f"pointsource_noises/{name}.wav": Noise(1.0) for name in sounds}
    return files | {f"pointsource_noises/{kind}_noise_list": "" for kind in ("fore", "background")}


def esc10() -> Tree:
    """--noise and --rir for recipes on small real data: ESC-10 by fold, and measured rooms."""
    files: dict[str, Content] = {"noise/esc10/README.md": "ESC-10\n", "rir/manifest.tsv": ""}
    for fold in range(1, 6):
        for kind in ("rain", "dog_bark"):
            files[f"noise/esc10/fold{fold}/{kind}/{fold}-{fold}7261-A.flac"] = Noise(5.0)
    files |= {f"noise/outdoor_indoor/{name}.flac": Noise(4.0) for name in ("wind", "fan")}
    return files | {f"rir/{room}/{room}_1.flac": Response(0.5) for room in ROOMS}
