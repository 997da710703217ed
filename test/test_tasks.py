"""The frontend in every ESPnet task that has one: the task's own parser, model and loss."""

import importlib
import pkgutil

import espnet2.tasks
import pytest
import torch
import yaml

from espnet_robust.models.student import read_student_weights
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import TASKS, register

SAMPLES, FRAMES = [8000, 6123], [24, 18]  # (samples - 400) // 320 + 1
TOKENS = ["<blank>", "<unk>", "a", "b", "<na>", "<nolang>", "<sop>", "<sos>", "<eos>", "<sos/eos>"]
DIMS = {"output_size": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 1}
SMALL = {"encoder": "transformer", "encoder_conf": DIMS | {"input_layer": "linear"}}
SMALL_DECODER = {
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 8, "num_blocks": 1},
}
CTC = SMALL | {"token_list": TOKENS, "model_conf": {"ctc_weight": 1.0}}
ATTENTION = SMALL | SMALL_DECODER | {"token_list": TOKENS, "model_conf": {"ctc_weight": 0.3}}
EMBEDDING = {"encoder": "identity", "pooling": "mean", "projector": "xvector",
             "projector_conf": {"output_size": 8}, "loss": "softmax"}  # fmt: skip


def text(name="text"):
    return {name: torch.tensor([[2, 3, 2], [3, 2, -1]]), f"{name}_lengths": torch.tensor([3, 2])}


PREFIX = {  # language and task
    "prefix": torch.tensor([[2, 3], [3, 2]]),
    "prefix_lengths": torch.tensor([2, 2]),
}


def labels(name, size=()):
    return {name: torch.tensor([0, 1]).reshape(2, *size), f"{name}_lengths": torch.tensor([1, 1])}


def speakers():
    """Two speakers who are never heard at once, at the rate of the samples."""
    active = (torch.arange(max(SAMPLES)) < 4000).float()
    active = torch.stack([active, 1 - active], dim=1).expand(2, -1, -1)
    return {"spk_labels": active, "spk_labels_lengths": torch.tensor(SAMPLES)}


# Tasks that train here -> configuration beside the frontend's, and the rest of a batch.
CASES = {
    "asr": (ATTENTION, text()),
    "slu": (CTC | {"decoder": None} | SMALL_DECODER, text()),
    "st": (
        ATTENTION
        | {"src_token_list": TOKENS, "model_conf": {"asr_weight": 0.3, "mtlalpha": 1.0}},
        text() | text("src_text"),
    ),
    "s2t": (ATTENTION, text() | text("text_prev") | text("text_ctc")),
    "s2t_ctc": (
        {
            "encoder": "e_branchformer_ctc",
            "encoder_conf": DIMS | {"input_layer": "linear", "cgmlp_linear_units": 8},
            "promptencoder": "transformer",
            "promptencoder_conf": DIMS,
            "token_list": TOKENS,
        },
        text() | text("text_prev") | text("text_ctc") | PREFIX,
    ),
    "cls": (
        SMALL | {"decoder": "linear", "decoder_conf": {"pooling": "mean"},
                 "token_list": ["yes", "no", "<unk>"]},
        labels("label", (1,)),
    ),
    "spk": (EMBEDDING | {"spk_num": 2}, labels("spk_labels")),
    "lid": (EMBEDDING | {"lang_num": 2}, labels("lid_labels")),
    "diar": (
        SMALL
        | {"num_spk": 2, "label_aggregator_conf": {"win_length": 400, "hop_length": 320}},
        speakers(),
    ),
    "ssl": (
        SMALL
        | {
            "preencoder": "linear",
            "preencoder_conf": {"output_size": 8},
            "token_list": TOKENS,
            "loss": [{"name": "hubert", "conf": {"num_classes": 6, "final_dim": 8}}],
            "util": [{"name": "mask", "conf": {"mask_length": 2}}],
        },
        {"text": torch.full((2, FRAMES[0]), 3), "text_lengths": torch.tensor(FRAMES)},
    ),
    "enh_s2t": (
        {"subtask_series": ["enh", "asr"], "model_conf": {"calc_enh_loss": False},
         "enh_encoder": "stft", "enh_decoder": "stft", "enh_separator": "rnn",
         "enh_separator_conf": {"num_spk": 1, "layer": 1, "unit": 8},
         "asr_encoder": "transformer", "asr_encoder_conf": SMALL["encoder_conf"],
         "asr_decoder": "transformer", "asr_decoder_conf": SMALL_DECODER["decoder_conf"],
         "asr_model_conf": {"ctc_weight": 0.5}, "token_list": TOKENS},
        text("text_spk1"),
    ),
}  # fmt: skip
# Tasks whose loss cannot be computed here: their model is built and encodes.
ENCODERS = {
    # the loss is in warprnnt_pytorch or k2
    "asr_transducer": {
        "token_list": TOKENS,
        "encoder_conf": {
            "input_conf": {"subsampling_factor": 2, "conv_size": 4},
            "body_conf": [{"block_type": "conformer", "hidden_size": 8, "heads": 2,
                           "linear_size": 8, "conv_mod_kernel_size": 3}],
        },
        "decoder": "rnn",
        "decoder_conf": {"embed_size": 8, "hidden_size": 8},
    },
    # decoder and losses of ESPnet 202511 are unfinished
    "asvspoof": SMALL | {"losses": [{"name": "binary_loss", "conf": {}}]},
}  # fmt: skip
# Tasks in which not even that is possible: the frontend is registered.
NAMES = {
    "hubert": "its encoders need fairseq, or read raw samples",
    "uasr": "it needs fairseq, and trains on features made beforehand",
    "s2st": "it trains on a vocoder's features",
    "aqa": "new in 202611; it learns metrics of recordings, not what is said",
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


def build(task, conf, student_dir, tmp_path):
    """The model, through the parser and ``build_model`` of the task in ``espnet2.tasks``."""
    return build_with_args(task, conf, student_dir, tmp_path)[1]


def build_with_args(task, conf, student_dir, tmp_path):
    """(the task's class, the model, the options as the experiment's config.yaml has them)"""
    module = importlib.import_module(f"espnet2.tasks.{task}")
    names = (name for name in vars(module) if name.endswith("Task") and name != "AbsTask")
    classes = [vars(module)[name] for name in names]
    task_class = next(c for c in classes if c.__module__ == module.__name__)
    conf = conf | {
        "frontend": "robust_student",
        "frontend_conf": {"student": {"path": str(student_dir)}} | conf.get("frontend_conf", {}),
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(conf))
    command = ["--config", str(tmp_path / "train.yaml"), "--output_dir", str(tmp_path / "exp")]
    args = task_class.get_parser().parse_args(command)
    return task_class, task_class.build_model(args), args


def frontends(model):
    return [module for module in model.modules() if isinstance(module, RobustFrontend)]


def watch(frontend):
    """What the frontend will have put out."""
    seen = []
    frontend.register_forward_hook(lambda module, inputs, output: seen.append(output))
    return seen


def speech():
    wav = torch.randn(2, max(SAMPLES), generator=torch.Generator().manual_seed(0)) / 10
    return {"speech": wav, "speech_lengths": torch.tensor(SAMPLES)}


def test_no_task_is_forgotten():
    assert CASES.keys() | ENCODERS.keys() | NAMES.keys() == set(TASKS)


def test_no_table_of_frontends_is_forgotten():
    """Every task of this ESPnet whose frontend reads speech, as far as the task imports here."""
    found = set()
    for module in pkgutil.iter_modules(espnet2.tasks.__path__, "espnet2.tasks."):
        try:
            table = vars(importlib.import_module(module.name)).get("frontend_choices")
        except ImportError:
            continue
        if table is not None and "default" in table.classes:  # not mt, which embeds text
            assert table.get_class("robust_student") is RobustFrontend, module.name
            found.add(module.name.rpartition(".")[2])
    assert {"asr", "cls", "diar", "s2t", "slu", "spk", "st"} <= found


@pytest.mark.parametrize("task", CASES)
def test_trains_in(task, student_dir, tmp_path):
    conf, targets = CASES[task]
    torch.manual_seed(0)
    model = build(task, conf, student_dir, tmp_path).train()
    (frontend,) = frontends(model)
    seen = watch(frontend)
    loss, _, _ = model(**speech(), **targets)
    loss.backward()
    features, lengths = seen[0]
    assert lengths.tolist() == FRAMES and features.shape == (2, FRAMES[0], 16)
    assert torch.isfinite(loss) and frontend.layer_weights.grad.abs().sum() > 0
    assert all(p.grad is None for p in frontend.speech_model.parameters())


@pytest.mark.parametrize("task", ENCODERS)
def test_encodes_in(task, student_dir, tmp_path):
    model = build(task, ENCODERS[task], student_dir, tmp_path)
    seen = watch(frontends(model)[0])
    encoded, _ = model.encode(**speech())
    assert seen[0][1].tolist() == FRAMES and torch.isfinite(encoded).all()


@pytest.mark.parametrize("task", NAMES)
def test_known_to(task):
    try:
        module = importlib.import_module(f"espnet2.tasks.{task}")
    except ImportError as e:
        pytest.skip(f"espnet2.tasks.{task} needs {e.name}")
    assert module.frontend_choices.get_class("robust_student") is RobustFrontend


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_normal"])
def test_initialisation_keeps_the_student(init, student_dir, tmp_path):
    model = build("asr", CTC | {"decoder": None, "init": init}, student_dir, tmp_path)
    (frontend,) = frontends(model)
    held = frontend.speech_model.state_dict()
    expected = read_student_weights(student_dir)
    assert held.keys() == expected.keys()
    assert all(torch.equal(held[key], expected[key]) for key in expected)


def test_weights_are_held_once(student_dir, tmp_path):
    model = build("asr", CTC | {"decoder": None}, student_dir, tmp_path)
    student = read_student_weights(student_dir)
    held = [key for key in model.state_dict() if key.startswith("frontend.")]
    assert len(held) == len(student) + 1  # and the layers' weights
    storages = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert len(storages) == len(model.state_dict())
    biggest = max(tensor.numel() for tensor in student.values())
    owners = [p for p in model.parameters() if p.numel() == biggest]
    assert len(owners) == sum(t.numel() == biggest for t in student.values())
