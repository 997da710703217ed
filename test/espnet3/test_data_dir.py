import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import ConfigError, DataDirError


@pytest.fixture
def data_dir(tmp_path):
    """data_dir(ids) -> a data dir of half-second noises."""

    def make(ids):
        out = tmp_path / "train"
        out.mkdir()
        rng = np.random.default_rng(0)
        for utt_id in ids:
            soundfile.write(out / f"{utt_id}.wav", 0.1 * rng.standard_normal(8000), 16000)
        (out / "wav.scp").write_text("".join(f"{i} {out}/{i}.wav\n" for i in sorted(ids)))
        (out / "text").write_text("".join(f"{i} A B\n" for i in sorted(ids)))
        (out / "utt2spk").write_text("".join(f"{i} {i}\n" for i in sorted(ids)))
        return out

    return make


@pytest.fixture
def combined():
    """combined(dataset, preprocessor) -> what ESPnet3 makes of them."""
    from espnet3.components.data.dataset import CombinedDataset

    def make(dataset, preprocessor):
        return CombinedDataset([dataset], [(None, preprocessor)], use_espnet_preprocessor=True)

    return make


def test_items_by_number_and_by_id(data_dir):
    from espnet_robust.espnet3.data_dir import Dataset

    dataset = Dataset(str(data_dir(["u1", "u2"])), utt_id=True)
    assert len(dataset) == 2 and dataset[1]["utt_id"] == "u2"
    assert dataset["u2"]["text"] == "A B" and dataset["u2"]["speech"].dtype == np.float32
    assert np.array_equal(dataset[1]["speech"], dataset["u2"]["speech"])


@pytest.mark.parametrize("name", ["12", "1_2"])
def test_ids_that_are_numbers(data_dir, name):
    from espnet_robust.espnet3.data_dir import Dataset

    with pytest.raises(DataDirError, match=f"'{name}': ESPnet3 would take it for a number"):
        Dataset(str(data_dir([name])))


def test_a_table_that_lacks_an_utterance(data_dir):
    from espnet_robust.espnet3.data_dir import Dataset

    directory = data_dir(["u1", "u2"])
    (directory / "utt2label").write_text("u1 yes\n")
    with pytest.raises(DataDirError, match="utt2label: has no u2; fix"):
        Dataset(str(directory), table="utt2label", field="label")


def test_distortions_change_with_the_epoch_only(data_dir, combined):
    from espnet_robust.distortion import load_distortion
    from espnet_robust.espnet3.data_dir import Dataset
    from espnet_robust.espnet3.iterator import EpochIterFactory
    from espnet_robust.espnet3.preprocessor import DistortingPreprocessor

    mixture = {"snr_db": 0, "chain": [{"name": "white"}]}
    dataset = Dataset(str(data_dir(["u1", "u2"])))

    def heard(train, epochs, number_of_workers=0, **options):
        preprocessor = DistortingPreprocessor(train, mixture, seed=3)
        data = combined(dataset, preprocessor)
        data.use_espnet_collator = True
        factory = EpochIterFactory(
            data, [["u1"], ["u2"]], max_epochs=9, shuffle=False, num_workers=number_of_workers,
            collate_fn=lambda rows: {uid: item["speech"] for uid, item in rows}, **options,
        )  # fmt: skip
        return [{k: v for b in factory.build_iter(e) for k, v in b.items()} for e in epochs]

    first, second, again = heard(True, (1, 2, 1))
    assert not np.array_equal(first["u1"], second["u1"])
    assert all(np.array_equal(first[u], again[u]) for u in first)
    (workers,) = heard(True, (1,), number_of_workers=2)
    assert all(np.array_equal(first[u], workers[u]) for u in first)
    (last_of_two,) = heard(True, (1,), num_iters_per_epoch=4)
    assert not any(np.array_equal(first[u], last_of_two[u]) for u in first)
    one, two = heard(False, (1, 2))
    assert np.array_equal(one["u1"], two["u1"])
    expected, _ = load_distortion(mixture)(
        dataset["u1"]["speech"], "u1", seed=3, epoch=1, side="student", progress=0.0
    )
    assert np.array_equal(first["u1"], expected)


def test_an_iterator_without_a_distortion(data_dir, combined):
    from espnet2.train.preprocessor import CommonPreprocessor

    from espnet_robust.espnet3.data_dir import Dataset
    from espnet_robust.espnet3.iterator import EpochIterFactory

    data = combined(Dataset(str(data_dir(["u1"]))), CommonPreprocessor(train=True))
    with pytest.raises(ConfigError, match="this dataset has none; use espnet2.iterators"):
        EpochIterFactory(data, [["u1"]], max_epochs=1)
