"""``preprocessor: distorting`` in ESPnet's own trainings."""

import argparse
import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from espnet2.bin import asr_train, cls_train, spk_train
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.cls import CLSTask
from espnet2.tasks.spk import SpeakerTask
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.preprocessor import CommonPreprocessor, SpkPreprocessor

from espnet_robust.common.errors import AudioError, ConfigError
from espnet_robust.distortion import load_distortion
from espnet_robust.plugin.preprocessor import DistortingPreprocessor, config_of
from espnet_robust.plugin.registration import TASKS, register

CHAIN = {"chain": [{"name": "white", "snr_db": [0, 20]}]}
SAMPLES = 8000
LINEAR = {"attention_heads": 2, "linear_units": 8, "num_blocks": 1, "output_size": 8,
          "input_layer": "linear", "dropout_rate": 0.0, "positional_dropout_rate": 0.0,
          "attention_dropout_rate": 0.0}  # fmt: skip
COMMON = {
    "preprocessor": "distorting", "frontend": "robust_student", "optim": "adamw",
    "batch_type": "sorted", "batch_size": 2, "max_epoch": 2, "num_workers": 0,
    "num_iters_per_epoch": 2, "use_tensorboard": False, "num_att_plot": 0, "seed": 3,
}  # fmt: skip
ASR = COMMON | {"token_type": "char", "token_list": ["<blank>", "<unk>", "A", "B", "<sos/eos>"],
                "encoder": "transformer", "encoder_conf": LINEAR,
                "model_conf": {"ctc_weight": 1.0}}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


@pytest.fixture(scope="module")
def data(speech_and_text) -> Path:
    """Four utterances with texts; their labels and speakers; trials of pairs of them."""
    out = speech_and_text
    (out / "label").write_text("u0 A\nu1 B\nu2 A\nu3 B\n")
    (out / "spk").write_text("u0 s0\nu1 s1\nu2 s0\nu3 s1\n")
    (out / "spk2utt").write_text("s0 u0 u2\ns1 u1 u3\n")
    tables = {"one": [], "other": [], "same": [], "trial_shape": []}
    for i, j in ((0, 1), (0, 2), (1, 2), (1, 3)):
        values = (out / f"u{i}.wav", out / f"u{j}.wav", (i + j + 1) % 2, SAMPLES)
        for table, value in zip(tables, values, strict=True):
            tables[table].append(f"u{i}*u{j} {value}\n")
    for table, lines in tables.items():
        (out / table).write_text("".join(lines))
    return out


@pytest.fixture
def chain(tmp_path) -> Path:
    path = tmp_path / "chain.yaml"
    path.write_text(yaml.safe_dump(CHAIN))
    return path


def options(out: Path, data: Path, student: Path, config: dict, tables, valid_tables=None):
    """Command line of a training. ``tables``: (file, name, type)."""
    out.mkdir(exist_ok=True)
    student = {"frontend_conf": {"student": {"path": str(student)}}}
    (out / "train.yaml").write_text(yaml.safe_dump(config | student))
    given = ["--config", out / "train.yaml", "--output_dir", out / "exp"]
    for split, rows in (("train", tables), ("valid", valid_tables or tables)):
        trials = any(name == "speech2" for _, name, _ in rows)
        given += [f"--{split}_shape_file", data / ("trial_shape" if trials else "shape")]
        for file, name, kind in rows:
            given += [f"--{split}_data_path_and_name_and_type", f"{data / file},{name},{kind}"]
    return [str(option) for option in given]


SPEECH_AND_TEXT = (("wav.scp", "speech", "sound"), ("text", "text", "text"))


@pytest.fixture
def asr(tmp_path, data, student_dir, chain):
    """Options of an ASR training, with changes -> its parsed arguments."""

    def parse(conf=(), **more) -> argparse.Namespace:
        conf = {"distortion": str(chain)} | dict(conf)
        config = ASR | {"preprocessor_conf": conf} | more
        given = options(tmp_path / "asr", data, student_dir, config, SPEECH_AND_TEXT)
        return ASRTask.get_parser().parse_args(given)

    return parse


def factory(args, mode="train", task=ASRTask):
    return task.build_iter_factory(args, DistributedOption(), mode)


def heard(iter_factory, epoch) -> dict[str, np.ndarray]:
    """Utterance -> its samples in that epoch."""
    return {
        utt: speech.numpy()
        for ids, batch in iter_factory.build_iter(epoch)
        for utt, speech in zip(ids, batch["speech"], strict=True)
    }


def same(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("workers", [1, 2])
def test_draws_are_keyed_by_utterance_and_epoch(asr, data, workers):
    distorter = load_distortion(CHAIN)
    trained, restarted = factory(asr()), factory(asr(num_workers=workers))
    first, second = heard(trained, 1), heard(trained, 2)
    for epoch, found in ((1, first), (2, second)):
        for utt, samples in found.items():
            wav, _ = soundfile.read(data / f"{utt}.wav", dtype="float32")
            expected, _ = distorter(wav, utt, seed=3, epoch=epoch)
            np.testing.assert_array_equal(samples, expected)
    assert len(first) == 4 and not any(np.array_equal(first[u], second[u]) for u in first)
    assert same(heard(restarted, 2), second)  # as after resuming, with workers


@pytest.mark.parametrize("workers", [0, 2])
def test_an_utterance_that_comes_again_in_an_epoch_is_drawn_anew(asr, data, workers):
    distorter = load_distortion(CHAIN)
    turns = Counter()
    args = asr(num_iters_per_epoch=9, num_workers=workers, batch_type="unsorted", batch_size=2)
    for ids, batch in factory(args).build_iter(1):
        for utt, samples in zip(ids, batch["speech"], strict=True):
            wav, _ = soundfile.read(data / f"{utt}.wav", dtype="float32")
            side = f"student turn{turns[utt]}" if turns[utt] else "student"
            expected, _ = distorter(wav, utt, seed=3, epoch=1, side=side)
            np.testing.assert_array_equal(samples.numpy()[: len(expected)], expected)
            turns[utt] += 1
    assert len(turns) == 4 and min(turns.values()) >= 4


def test_validation_draws_once(asr):
    valid = factory(asr(), "valid")
    first = heard(valid, 1)
    assert same(first, heard(valid, 2))
    plotted = heard(factory(asr(num_att_plot=2), "plot_att"), 1)
    assert all(np.array_equal(first[utt], wav) for utt, wav in plotted.items())
    assert not same(first, heard(factory(asr()), 1))


def test_validation_may_have_its_own_distortion(asr, data):
    clean = {"chain": ["clean"]}
    for utt, samples in heard(factory(asr({"valid_distortion": clean}), "valid"), 1).items():
        wav, _ = soundfile.read(data / f"{utt}.wav", dtype="float32")
        np.testing.assert_array_equal(samples, wav)


def test_seed_of_its_own(asr):
    ours = heard(factory(asr({"seed": 4})), 1)
    assert not same(ours, heard(factory(asr()), 1))
    assert same(ours, heard(factory(asr(seed=4)), 1))


def test_text_is_as_without(asr):
    def read(args):
        batches = factory(args).build_iter(1, shuffle=False)
        return [(ids, batch["text"].tolist()) for ids, batch in batches]

    assert read(asr()) == read(asr(preprocessor="default", preprocessor_conf={}))


def test_progress_and_epoch_are_told(asr):
    trained = factory(asr(max_epoch=4))
    trained.build_iter(3)
    assert (trained.preprocessor.epoch, trained.preprocessor.progress) == (3, 0.5)


def test_keys_of_the_tasks_own_preprocessor_reach_it(asr, data):
    inner = ASRTask.build_preprocess_fn(asr({"force_single_channel": True}), train=True).inner
    assert isinstance(inner, CommonPreprocessor) and inner.force_single_channel


def test_inference_hears_speech_as_it_is(asr, tmp_path):
    args = asr()
    (tmp_path / "chain.yaml").unlink()  # not needed any more, as after packing
    assert type(ASRTask.build_preprocess_fn(args, train=False)) is CommonPreprocessor


def test_without_the_hook_it_refuses(asr):
    preprocess = ASRTask.build_preprocess_fn(asr(), train=True)
    assert isinstance(preprocess, DistortingPreprocessor)
    with pytest.raises(ConfigError, match="was not told the epoch"):
        preprocess("u0", {"speech": np.zeros(100), "text": "A"})


@pytest.mark.parametrize("task", TASKS)
def test_every_task_knows_it(task):
    try:
        module = importlib.import_module(f"espnet2.tasks.{task}")
    except ImportError as e:
        pytest.skip(f"espnet2.tasks.{task} needs {e.name}")
    names = (name for name in vars(module) if name.endswith("Task"))
    classes = [vars(module)[name] for name in names]
    (cls,) = (c for c in classes if c.__module__ == module.__name__)
    given = ["--preprocessor", "distorting", "--preprocessor_conf", "distortion=a.yaml"]
    given += ["--output_dir", "exp"]
    args = cls.get_parser().parse_args(given)
    assert args.preprocessor == "distorting" and args.preprocessor_conf["distortion"] == "a.yaml"


def test_registering_twice_distorts_once(asr):
    register()
    inner = ASRTask.build_preprocess_fn(asr(), train=True).inner
    assert type(inner) is CommonPreprocessor


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"distortoin": "x"}, "preprocessor_conf: .*unexpected keyword argument 'distortoin'"),
        ({"distortion": 3}, "preprocessor_conf: distortion: must name a YAML file, got 3"),
        ({"distortion": "no.yaml"}, "no.yaml: cannot be read"),
        ({"seed": -1}, "preprocessor_conf: seed: must be a whole number of at least 0, got -1"),
        ({"names": "speech"}, "preprocessor_conf: names: must be a list of names, got 'speech'"),
        ({"inner": "distorting"}, "inner: distorting cannot be its own inner"),
    ],
)
def test_wrong_keys(asr, conf, message):
    with pytest.raises(ConfigError, match=message) as e:
        factory(asr(conf))
    assert "\n" not in str(e.value)


def test_missing_distortion(asr):
    with pytest.raises(ConfigError, match="preprocessor_conf: missing key 'distortion'"):
        factory(asr(preprocessor_conf={"seed": 1}))


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"speech_volume_normalize": 1.0}, "unknown key 'speech_volume_normalize'"),
        ({"inner": "spk"}, "inner: 'spk': this task has only one preprocessor"),
    ],
)
def test_a_task_without_a_choice_takes_our_keys_only(conf, message, chain):
    conf = {"distortion": str(chain)} | conf
    args = argparse.Namespace(preprocessor="distorting", preprocessor_conf=conf, seed=0)
    with pytest.raises(ConfigError, match=message):
        CLSTask.build_preprocess_fn(args, train=True)


def test_a_cache_does_not_go_with_it(asr):
    with pytest.raises(ConfigError, match="max_cache_size: caching would repeat an epoch's dist"):
        factory(asr(max_cache_size=1.0))


def test_another_sampling_rate(asr, data, tmp_path):
    """Audio is resampled, as everywhere; a model of another rate is refused."""
    args = asr()
    soundfile.write(tmp_path / "narrow.wav", np.full(4000, 0.1), 8000)
    lines = (f"u{i} {tmp_path}/narrow.wav\n" for i in range(4))
    (tmp_path / "wav.scp").write_text("".join(lines))
    args.train_data_path_and_name_and_type[0] = (str(tmp_path / "wav.scp"), "speech", "sound")
    for _, batch in factory(args).build_iter(1):
        assert set(batch["speech_lengths"].tolist()) == {8000}
    args.frontend_conf["fs"] = "8k"
    with pytest.raises(ConfigError, match="fs: 8000 Hz, but preprocessor: .* works at 16000 Hz"):
        factory(args)


@pytest.mark.parametrize(
    ("speech", "message"),
    [
        ({"speech": np.zeros((100, 2))}, "u0: speech has 2 channels; make it mono"),
        ({"speech": np.full(100, np.nan)}, "u0: NaN or infinite samples"),
        ({"mix": np.zeros(100)}, "u0: preprocessor_conf: names: no speech in the data, .* mix"),
    ],
)
def test_bad_audio_names_the_utterance(speech, message):
    preprocess = DistortingPreprocessor(None, load_distortion(CHAIN), 0, ["speech"], train=False)
    with pytest.raises(AudioError, match=message):
        preprocess("u0", speech)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_audio_is_one_line_from_a_worker_too(asr, tmp_path, workers):
    args = asr(num_workers=workers)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((SAMPLES, 2)), 16000)
    (tmp_path / "wav.scp").write_text("".join(f"u{i} {tmp_path}/stereo.wav\n" for i in range(4)))
    args.train_data_path_and_name_and_type[0] = (str(tmp_path / "wav.scp"), "speech", "sound")
    with pytest.raises(AudioError, match=r"^u\d: speech has 2 channels; make it mono$"):
        heard(factory(args), 1)


def test_integer_samples_are_scaled():
    preprocess = DistortingPreprocessor(
        None, load_distortion({"chain": ["clean"]}), 0, ["speech"], train=False
    )
    out = preprocess("u0", {"speech": np.array([-32768, 16384], np.int16)})["speech"]
    assert out.tolist() == [-1.0, 0.5]


def weights(exp: Path) -> dict[str, torch.Tensor]:
    return torch.load(exp / "2epoch.pth")


def test_asr_trains_and_resumes_alike(data, student_dir, chain, tmp_path):
    conf = {"preprocessor_conf": {"distortion": str(chain)}, "keep_nbest_models": 9}

    def train(name, **more):
        given = ASR | conf | more
        asr_train.main(options(tmp_path / name, data, student_dir, given, SPEECH_AND_TEXT))
        return tmp_path / name / "exp"

    straight = weights(train("straight"))
    train("resumed", max_epoch=1)
    resumed = weights(train("resumed", num_workers=2, resume=True))
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)
    clean = weights(train("clean", preprocessor="default", preprocessor_conf={}))
    assert any(not torch.equal(straight[key], clean[key]) for key in straight)


def test_cls_trains(data, student_dir, chain, tmp_path):
    config = COMMON | {
        "preprocessor_conf": {"distortion": str(chain)},
        "encoder": "transformer", "encoder_conf": LINEAR, "decoder": "linear",
        "decoder_conf": {"pooling": "mean"}, "token_list": ["A", "B", "<unk>"],
        "token_type": "word",
    }  # fmt: skip
    tables = (("wav.scp", "speech", "sound"), ("label", "label", "text"))
    cls_train.main(options(tmp_path / "cls", data, student_dir, config, tables))
    assert weights(tmp_path / "cls/exp")


def test_spk_trains(data, student_dir, chain, tmp_path):
    inner = {"target_duration": 0.25, "num_eval": 2, "rir_apply_prob": 0.0, "noise_apply_prob": 0.0}
    config = COMMON | {
        "preprocessor_conf": {"distortion": str(chain), "names": ["speech", "speech2"], **inner},
        "spk2utt": str(data / "spk2utt"), "spk_num": 2, "encoder": "identity", "pooling": "mean",
        "projector": "xvector", "projector_conf": {"output_size": 8}, "loss": "softmax",
    }  # fmt: skip
    train = (("wav.scp", "speech", "sound"), ("spk", "spk_labels", "text"))
    valid = (("one", "speech", "sound"), ("other", "speech2", "sound"),
             ("same", "spk_labels", "text"))  # fmt: skip
    given = options(tmp_path / "spk", data, student_dir, config, train, valid)
    spk_train.main(given)
    assert weights(tmp_path / "spk/exp")
    args = SpeakerTask.get_parser().parse_args(given)
    valid = factory(args, "valid", SpeakerTask)
    assert type(valid.preprocessor.inner) is SpkPreprocessor


def test_shipped_config(root):
    shipped = yaml.safe_load((root / "conf/downstream/distorted.yaml").read_text())
    config = config_of(argparse.Namespace(**shipped))
    assert shipped["preprocessor"] == "distorting"
    assert (root / "egs/mini/asr1" / config.distortion).is_file()


def test_chunks_are_of_distorted_speech(asr):
    whole = heard(factory(asr()), 1)
    args = asr(iterator_type="chunk", chunk_length=3000, chunk_excluded_key_prefixes=["text"],
               num_cache_chunks=4, num_iters_per_epoch=None)  # fmt: skip
    batches = list(factory(args).build_iter(1))
    assert batches
    for ids, batch in batches:
        for utt, chunk in zip(ids, batch["speech"].numpy(), strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(whole[utt], len(chunk))
            assert len(chunk) == 3000 and (windows == chunk).all(axis=1).any()
