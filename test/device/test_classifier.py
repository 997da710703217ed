"""An exported classifier is ESPnet's: the same probabilities and labels."""

import json
import shutil

import numpy as np
import onnx
import pytest
import soundfile
import torch
import yaml

from espnet_robust.bin import export as export_command
from espnet_robust.bin import transcribe as command
from espnet_robust.common.errors import AudioError, ModelError
from espnet_robust.device.classifier import read_classifier
from espnet_robust.device.export import export
from espnet_robust.device.labeller import label_file
from espnet_robust.device.listen import check_stream
from espnet_robust.device.measure import measure
from espnet_robust.device.runtime import Runtime, listener, recogniser
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student
from test.device.conftest import CHECKPOINT, spoken
from test.espnet_runs import train_espnet

WORDS = ("A", "B", "C")  # a low tone, a high one, noise
SHARED = {
    "frontend": "robust_student",
    "decoder": "linear",
    "optim": "adamw",
    "optim_conf": {"lr": 0.02},
    "batch_type": "sorted",
    "batch_size": 6,
    "max_epoch": 1,
    "num_workers": 0,
    "use_tensorboard": False,
    "best_model_criterion": [["valid", "loss", "min"]],
}
BLSTM = {
    "normalize": "utterance_mvn",
    "encoder": "blstm",
    "encoder_conf": {"num_layers": 2, "hidden_size": 16, "output_size": 16, "subsample": [2, 1]},
}


def projection(size: int, before: bool = False) -> dict:
    """As in conf/cls/linear.yaml."""
    conf = {"input_layer": None, "num_blocks": 0, "output_size": size, "normalize_before": before}
    return {"encoder": "transformer", "encoder_conf": conf, "normalize": None}


# name -> configuration, labels of several slots or one, pooling
CASES = {
    "blstm": (BLSTM, False, "mean"),
    "slots": (BLSTM, True, "max"),
    "linear": (projection(24), False, "mean"),
    "linear_of_the_same_size": (projection(16, True), False, "CLS"),
}


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory, data, student_dir):
    """classifiers(name) -> output_dir of ESPnet's cls_train; ``linear`` is trained until it
    knows the words, the others for two steps."""
    made = {}

    def make(name: str):
        if name not in made:
            steps = 60 if name == "linear" else 2
            out = tmp_path_factory.mktemp(name)
            made[name] = trained(out, student_dir, *CASES[name], steps)
        return made[name]

    return make


def trained(out, student_dir, change, several, pooling, steps=2):
    from espnet2.bin import cls_train

    import espnet_robust

    espnet_robust.register()
    classes = ["0:A", "0:B", "0:C", "1:long", "1:short"] if several else list(WORDS)
    tables = {"wav.scp": [], "label": [], "utt2num_samples": []}
    for word in WORDS:
        for repeats in (1, 3):
            path, wav = out / f"{word}{repeats}.wav", spoken(word * repeats)
            soundfile.write(path, wav, 16000)
            length = "1:long" if repeats > 1 else "1:short"
            values = (path, f"0:{word} {length}" if several else word, len(wav))
            for rows, value in zip(tables.values(), values, strict=True):
                rows.append(f"{word}{repeats} {value}\n")
    for table, rows in tables.items():
        (out / table).write_text("".join(rows))
    config = SHARED | change | {
        "frontend_conf": {"student": {"path": str(student_dir)}},
        "decoder_conf": {"pooling": pooling},
        "model_conf": {"classification_type": "multi-label" if several else "multi-class"},
        "num_iters_per_epoch": steps,
    }  # fmt: skip
    return train_espnet(cls_train.main, out, out, config, [*classes, "<unk>"], "label")


@pytest.fixture(scope="session")
def keywords(classifiers, tmp_path_factory):
    """The directory with the files of the trained classifier."""
    out = tmp_path_factory.mktemp("keywords")
    notes: list[str] = []
    done = export(classifiers("linear"), out, "all", CHECKPOINT, note=notes.append)
    assert [one.path.name for one in done] == ["model.onnx", "model.int8.onnx"]
    assert not notes
    return out


@pytest.fixture(scope="module")
def wavs():
    """Words in noise, of 400 samples to 5 s."""
    rng = np.random.default_rng(0)
    out = []
    for n, text in ((400, "A"), (5000, "BC"), (16000, "C B A"), (80000, "A B C" * 5)):
        wav = spoken(text, n)[:n]
        out.append(wav + 0.02 * rng.standard_normal(len(wav)).astype(np.float32))
    return out


@pytest.mark.parametrize("name", CASES)
def test_probabilities_are_espnets_alone_and_batched(classifiers, wavs, tmp_path, name):
    from espnet_robust.recognise.classify import load_classifier

    theirs = load_classifier(classifiers(name), CHECKPOINT)
    export(classifiers(name), tmp_path, "onnx", CHECKPOINT)
    ours = Runtime(tmp_path / "model.onnx")
    batched = np.exp(ours.classes(wavs))
    for wav, together in zip(wavs, batched, strict=True):
        with torch.no_grad():
            expected = theirs.model.score(torch.from_numpy(wav)[None])[0].numpy()
        np.testing.assert_allclose(together, expected, rtol=0, atol=1e-4)
        alone = np.exp(ours.classes([wav]))[0]
        np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-4)
    for i, wav in enumerate(wavs):
        soundfile.write(tmp_path / f"{i}.wav", wav, 16000, subtype="FLOAT")
    labels = [label_file(ours, tmp_path / f"{i}.wav", print).label for i in range(len(wavs))]
    assert labels == theirs(wavs)


def test_int8_gives_the_same_labels(keywords):
    exact, int8 = (Runtime(keywords / name) for name in ("model.onnx", "model.int8.onnx"))
    words = [spoken(word * n, seed) for word in WORDS for n in (1, 2, 4) for seed in (0, 1)]
    best = exact.classes(words).argmax(1)
    assert best.tolist() == [i for i in range(3) for _ in range(6)]  # it has learned the words
    assert int8.classes(words).argmax(1).tolist() == best.tolist()
    nodes = onnx.load(keywords / "model.int8.onnx").graph.node
    assert any(node.op_type == "MatMulInteger" for node in nodes)
    kept = [node.name for node in nodes if node.op_type in ("MatMul", "Gemm")]
    assert any("/decoder/" in name for name in kept)


def test_the_command_prints_labels_and_probabilities(keywords, tmp_path, capsys):
    for word in WORDS:
        soundfile.write(tmp_path / f"{word}.wav", np.stack([spoken(word * 3)] * 2, 1), 16000)
    files = [str(tmp_path / f"{word}.wav") for word in WORDS]
    command.main([str(keywords / "model.int8.onnx"), *files])
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{tmp_path}/{word}.wav\t{word}" for word in WORDS]
    assert err.splitlines() == [f"{tmp_path}/{word}.wav: 2 channels averaged" for word in WORDS]
    command.main([str(keywords / "model.onnx"), files[1], "--json"])
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["file", "seconds", "label", "classes"]
    assert (found["label"], found["seconds"]) == ("B", 0.6)
    assert set(found["classes"]) == set(WORDS) and next(iter(found["classes"])) == "B"
    assert sum(found["classes"].values()) == pytest.approx(1, abs=1e-5)


def test_its_speed_can_be_measured(keywords):
    found = measure(keywords / "model.int8.onnx", 1, [0.5, 1.0], 1)
    assert set(found["wall"]) == {"0.5", "1"} and min(found["cpu"].values()) > 0


def test_labels_of_several_slots(classifiers, tmp_path, capsys):
    export_command.main([str(classifiers("slots")), str(tmp_path), "--format", "onnx-int8",
                         "--checkpoint", CHECKPOINT])  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["model.int8.onnx"]
    soundfile.write(tmp_path / "a.wav", spoken("A"), 16000)
    found = label_file(Runtime(tmp_path / "model.int8.onnx"), tmp_path / "a.wav", print)
    word, length = found.label.split("|")
    assert word in WORDS and length in ("long", "short")
    assert set(found.classes) == {"0:A", "0:B", "0:C", "1:long", "1:short"}
    first = [name for name in found.classes if name.startswith("0:")]
    assert first[0] == f"0:{word}"


def test_audio_that_is_too_long_or_too_short(keywords, tmp_path):
    model = Runtime(keywords / "model.onnx")
    soundfile.write(tmp_path / "long.wav", np.zeros(61 * 8000), 8000)
    soundfile.write(tmp_path / "short.wav", np.zeros(160), 16000)
    with pytest.raises(AudioError, match="long.wav: 61 s; a classifier .* cut it into utterances"):
        label_file(model, tmp_path / "long.wav", lambda text: None)
    with pytest.raises(AudioError, match="short.wav: 10 ms, shorter than one frame"):
        label_file(model, tmp_path / "short.wav", print)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_list": None}, "no token_list, so the classes have no names"),
        ({"token_list": ["A", "<unk>"]}, "weights do not fit"),
        ({"frontend": "default"}, "frontend: default; only robust_student is supported"),
        ({"encoder": "conformer"}, "encoder: conformer; only blstm or transformer is supported"),
        ({"encoder": "transformer", "encoder_conf": {"num_blocks": 2, "input_layer": None}},
         "only one without blocks"),
        ({"encoder": "transformer", "encoder_conf": {"num_blocks": 0}}, "input_layer: null"),
        ({"decoder": "beats"}, "decoder: beats; only linear is supported"),
        ({"decoder_conf": {"pooling": "first"}}, "decoder_conf: pooling: first"),
        ({"model_conf": {"classification_type": "multi-label"}}, "not named by slot"),
    ],
)  # fmt: skip
def test_classifiers_that_are_refused(classifiers, tmp_path, change, message):
    exp = tmp_path / "exp"
    exp.mkdir()
    shutil.copy(classifiers("blstm") / CHECKPOINT, exp)
    config = yaml.safe_load((classifiers("blstm") / "config.yaml").read_text()) | change
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=message) as refusal:
        export(exp, tmp_path / "out", "onnx", CHECKPOINT)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["sherpa", "stream"])
def test_formats_for_text_are_refused(classifiers, tmp_path, name):
    with pytest.raises(ModelError, match=f"one label to a whole utterance; {name} needs an ASR"):
        export(classifiers("blstm"), tmp_path, name, CHECKPOINT)


def test_commands_for_recognisers_refuse_it(keywords):
    with pytest.raises(ModelError, match="holds a classifier, which outputs labels"):
        recogniser(keywords / "model.onnx")
    with pytest.raises(ModelError, match="needs whole utterances"):
        check_stream(listener(keywords / "model.onnx"), keywords / "model.onnx")


def test_a_classifier_on_a_causal_student(teacher_dir, tmp_path):
    """It still labels whole utterances, and cannot be exported as a stream."""
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    config = StudentConfig(1, "random", shape, "log_mel", True)
    save_student(build_student(load_teacher(teacher_dir), config), tmp_path / "student", {})
    exp = trained(tmp_path, tmp_path / "student", projection(24), False, "mean")
    with pytest.raises(ModelError, match="stream needs an ASR experiment"):
        export(exp, tmp_path / "out", "stream", CHECKPOINT)
    export(exp, tmp_path / "out", "onnx", CHECKPOINT)
    runtime, model = Runtime(tmp_path / "out/model.onnx"), read_classifier(exp, CHECKPOINT).model
    wav = spoken("AB C")
    with torch.no_grad():
        expected = model(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
    np.testing.assert_allclose(runtime.classes([wav]), expected.numpy(), rtol=0, atol=1e-4)
