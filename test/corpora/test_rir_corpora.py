import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.rirs_noises import room_of
from espnet_robust.data.audio import read_audio

REAL = "real_rirs_isotropic_noises"
SLR28 = (
    {
        f"simulated_rirs/{size}room/Room{r:03d}/Room{r:03d}-{n:05d}.wav": None
        for size in ("small", "medium", "large")
        for r in (1, 2, 3, 4)
        for n in (1, 2)
    }
    | {f"pointsource_noises/noise-free-sound-{n:04d}.wav": None for n in range(20)}
    | {
        f"{REAL}/RVB2014_type1_rir_largeroom1_far_angla.wav": {"channels": 8},
        f"{REAL}/RVB2014_type1_rir_largeroom1_near_anglb.wav": {"channels": 8},
        f"{REAL}/RVB2014_type1_noise_largeroom1_1.wav": {"channels": 8},
        f"{REAL}/RWCP_type1_rir_cirline_e2a_imp070.wav": {"channels": 2},
        f"{REAL}/air_type1_air_binaural_aula_carolina_1_3_90_3.wav": {"channels": 2},
        f"{REAL}/air_type1_air_phone_bathroom_hhp.wav": {"channels": 2},
    }
)


def rooms(data) -> dict[str, str]:
    return dict(data.tables["utt2group"])


@pytest.mark.parametrize(
    "name, room",
    [
        ("RVB2014_type2_rir_simroom3_near_anglb", "RVB2014_simroom3"),
        ("RVB2014_type1_noise_largeroom1_1", "RVB2014_largeroom1"),
        ("RWCP_type1_rir_circle_e1c_imp030", "RWCP_e1c"),
        ("RWCP_type3_rir_cirline_ofc_imp_rev", "RWCP_ofc"),
        ("air_type1_air_phone_stairway1_hfrp", "air_stairway1"),
        ("air_type1_air_phone_BT_corridor_hhp", "air_corridor"),
        ("air_type1_air_binaural_stairway_1_3_90", "air_stairway"),
        ("air_type1_air_binaural_lecture_0_1", "air_lecture"),
        ("air_type1_air_phone_lecture_hhp", "air_lecture"),
        ("RWCP_type4_rir_000l", "RWCP_type4"),
        ("RWCP_type4_rir_p30r", "RWCP_type4"),
        ("RWCP_type5_noise_cirline_ofc_ambient1", "RWCP_ofc"),
        ("something_else", "something_else"),
    ],
)
def test_room_of(name, room):
    assert room_of(name) == room


def test_rirs_noises_rooms_are_not_divided(tree, prepared):
    root = tree(SLR28)
    shares = ["--dev_share", "0.2", "--test_share", "0.4"]
    dirs = prepared("rirs_noises", "--root", root, "--kind", "simulated", *shares)
    by_part = [set(rooms(d).values()) for d in dirs.values()]
    assert len(set().union(*by_part)) == sum(map(len, by_part)) == 12
    assert sum(len(d.ids) for d in dirs.values()) == 24
    assert rooms(dirs["rirs_simulated_train"])["smallroom-Room001-00001"] == "smallroom-Room001"


def test_real_responses_first_channel(tree, prepared):
    root = tree(SLR28)
    none = ["--dev_share", "0", "--test_share", "0"]
    real = prepared("rirs_noises", "--root", root, "--kind", "real", *none)["rirs_real_train"]
    assert len(real.ids) == 5 and not any("_noise_" in utt for utt in real.ids)
    assert rooms(real)["RVB2014_type1_rir_largeroom1_far_angla"] == "RVB2014_largeroom1"
    utt = "RWCP_type1_rir_cirline_e2a_imp070"
    stereo, _ = soundfile.read(root / REAL / f"{utt}.wav")
    assert np.allclose(read_audio(real.wav[utt]), stereo[:, 0], atol=1e-4)
    noise = prepared("rirs_noises", "--root", root, "--kind", "isotropic", *none)
    assert rooms(noise["rirs_isotropic_train"]) == {
        "RVB2014_type1_noise_largeroom1_1": "RVB2014_largeroom1"
    }
    point = prepared("rirs_noises", "--root", root, "--kind", "point", *none)["rirs_point_train"]
    assert len(point.ids) == 20 and "utt2group" not in point.tables


def test_published_lists_do_not_divide_a_room(tree, prepared):
    """Their ids are Kaldi's: all of a name but the last part, so each position is a room."""
    halls = [f"air_type1_air_binaural_aula_carolina_1_{n}_90_3" for n in range(1, 8)]
    heads = [f"RWCP_type4_rir_{angle}{ear}" for angle in ("000", "p30", "m50") for ear in "lr"]
    office = "RWCP_type5_noise_cirline_ofc_ambient1"
    path = f"RIRS_NOISES/{REAL}"
    rirs = [f"--rir-id 1 --room-id {n.rpartition('_')[0]} {path}/{n}.wav\n" for n in halls + heads]
    noise = f"--noise-id 1 --noise-type isotropic --room-linkage RWCP_of {path}/{office}.wav\n"
    lists = {f"{REAL}/rir_list": "".join(rirs), f"{REAL}/noise_list": noise}
    root = tree({f"{REAL}/{n}.wav": None for n in (*halls, *heads, office)} | lists)
    dirs = prepared("rirs_noises", "--root", root, "--kind", "real", "--test_share", "0.5")
    found = {utt: (room, name) for name, d in dirs.items() for utt, room in rooms(d).items()}
    assert {room for room, _ in found.values()} == {"air_aula_carolina", "RWCP_type4"}
    assert len({found[utt] for utt in halls}) == len({found[utt] for utt in heads}) == 1
    none = ["--dev_share", "0", "--test_share", "0"]
    dirs = prepared("rirs_noises", "--root", root, "--kind", "isotropic", *none)
    assert rooms(dirs["rirs_isotropic_train"]) == {office: "RWCP_ofc"}


def test_lists_name_the_room_where_the_name_does_not(tree, prepared):
    path = f"RIRS_NOISES/{REAL}"
    root = tree(
        {f"{REAL}/own_rir_1.wav": None, f"{REAL}/own_noise_1.wav": None}
        | {f"{REAL}/rir_list": f"--rir-id 1 --room-id bath7 --rt60 0.3 {path}/own_rir_1.wav\n"}
        | {f"{REAL}/noise_list": f"--noise-id 1 --room-linkage bath7 {path}/own_noise_1.wav\n"}
    )
    none = ["--dev_share", "0", "--test_share", "0"]
    for kind in ("real", "isotropic"):
        dirs = prepared("rirs_noises", "--root", root, "--kind", kind, *none)
        assert set(rooms(dirs[f"rirs_{kind}_train"]).values()) == {"bath7"}


def test_dns_rir(tree, prepared):
    files = {f"impulse_responses/SLR28/RIRS_NOISES/{name}": c for name, c in SLR28.items()} | {
        "impulse_responses/SLR26/simulated_rirs_48k/smallroom/Room007/Room007-00001.wav": {
            "rate": 48000
        }
    }
    dirs = prepared(
        "dns_rir", "--root", tree(files), "--dev_share", "0", "--test_share", "0"
    )  # fmt: skip
    assert len(dirs["dns_rir_train"].ids) == 6
    assert rooms(dirs["dns_rir_train"])["smallroom-Room007-00001"] == "smallroom-Room007"


def test_an_archive_is_no_responses(tree, prepared):
    with pytest.raises(UserError, match=r"is not .*no impulse_responses/SLR2\[68\] in it"):
        prepared("dns_rir", "--root", tree({"impulse_responses/SLR28.zip": "zip"}))


def test_rir_folder_by_room(tree, prepared):
    root = tree({"hall/a.flac": None, "hall/b.flac": None, "cell/c.wav": None, "manifest.tsv": ""})
    data = prepared("rir_folder", "--root", root, "--name", "rir_train", "--groups", "hall")
    assert rooms(data["rir_train"]) == {"hall-a": "hall", "hall-b": "hall"}
    data = prepared("rir_folder", "--root", root, "--name", "rir_all")
    assert len(data["rir_all"].ids) == 3
    with pytest.raises(UserError, match="no room 'attic' in it; there are cell, hall"):
        prepared("rir_folder", "--root", root, "--name", "x", "--groups", "hall,attic")
    with pytest.raises(UserError, match="it must contain one per room"):
        prepared("rir_folder", "--root", root / "hall", "--name", "x")


def test_real_rooms(shared, prepared):
    train = "surrey_room_A,Genesis_6_Studio_Live_Room,Arthur_Sykes_Rymer_Auditorium,rir_clap"
    data = prepared("rir_folder", "--root", shared / "rir", "--name", "rir", "--groups", train)
    assert len(data["rir"].ids) == 40 and len(set(rooms(data["rir"]).values())) == 4


@pytest.mark.parametrize("corpus, options", [("rirs_noises", ["--kind", "real"]), ("dns_rir", [])])
def test_wrong_root(tree, prepared, corpus, options):
    with pytest.raises(UserError, match=r"is not .*no .* in it"):
        prepared(corpus, "--root", tree({"a.wav": None}), *options)
