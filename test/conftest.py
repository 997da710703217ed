"""What all tests share."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

if find_spec("espnet2"):
    import espnet_robust.plugin.quick_start  # noqa: F401  as in the commands

# No test may reach a network: a model that is not on disk is an error at once, not a download.
os.environ["HF_HUB_OFFLINE"] = "1"
# Linear layers by the same product in every process: on a busy machine measurements differ.
os.environ.setdefault("ESPNET_ROBUST_LINEAR", "torch")

# The same examples in each run, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole recipes first: one of them at the end would keep one worker alone busy."""
    recipes = {item.path for item in items if item.get_closest_marker("recipe")}
    items.sort(key=lambda item: item.path not in recipes)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def load_tool() -> Iterator[Callable[[str], ModuleType]]:
    """load_tool(NAME): the module tools/NAME.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        yield import_module


@pytest.fixture(scope="session")
def free_port():
    """free_port(): a port to listen on, of those that Linux gives to no connection by itself."""
    ports = iter(range(10000 + os.getpid() % 9000, 20000))

    def free() -> int:
        for port in ports:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port
        raise RuntimeError("no port is free")

    return free


@pytest.fixture(scope="session")
def copy_checkout(root):
    """copy_checkout(directory): this checkout there, without what set-up and recipes made in it."""

    def ignored(directory: str, names: list[str]) -> set[str]:
        hidden = {name for name in names if name.startswith(".")}
        recipe = Path(directory).parents[1].name == "egs"  # data/ is a wing of the package, too
        made = {"data", "exp", "dump", "downloads"} if recipe else set()
        return ({"__pycache__", "build"} | hidden | made) & set(names)

    def copy(directory: Path) -> Path:
        shutil.copytree(root, directory, ignore=ignored, symlinks=True)
        return directory

    return copy


@pytest.fixture(scope="session")
def follow():
    """follow(error): run the command that an error's message ends with, after "fix: ", literally.

    ``espnet-robust`` is this checkout's, whether installed or not.
    """

    def run(error: Exception) -> None:
        command = str(error).partition("; fix")[2].partition(": ")[2]
        assert command, f"no advice in {error}"
        verb = f'espnet-robust() {{ {sys.executable} -m espnet_robust "$@"; }}'
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(["bash", "-c", f"{verb}; {command}"], check=True, env=env)

    return run


def run_in_fork(function: Callable[[], object]) -> int:
    """Call a function in a process of its own; its exit status, -9 if it was killed."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def die_at(count: int) -> None:
    """Have this process killed at the ``count``-th change of a file after its training's first
    epoch: before it, or, of what torch writes, half way through it."""
    import torch

    from espnet_robust.plugin.training import SafeTrainer

    left = [count]

    def dying(function, half=None):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                if half is not None:
                    function(*args, **kwargs)
                    os.truncate(args[1], os.path.getsize(args[1]) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    train_one_epoch = SafeTrainer.train_one_epoch.__func__

    def begin(cls, **kwargs):
        if kwargs["reporter"].epoch == 2:
            torch.save = dying(torch.save, half=True)
            os.replace = dying(os.replace)
            for name in ("unlink", "symlink_to", "touch"):
                setattr(pathlib.Path, name, dying(getattr(pathlib.Path, name)))
        return train_one_epoch(cls, **kwargs)

    SafeTrainer.train_one_epoch = classmethod(begin)


@pytest.fixture(scope="session")
def models():
    """models(exp) -> {name: target of the link} of the models of an experiment."""

    def models(exp: Path) -> dict[str, str | None]:
        return {
            path.name: os.readlink(path) if path.is_symlink() else None
            for path in sorted(exp.glob("*.pth"))
        }

    return models


@pytest.fixture(scope="session")
def kill_everywhere(models):
    """kill_everywhere(train, tmp_path, step, **options): three epochs, killed at every ``step``-th
    change of a file after the first and begun again, are as if never killed, bit for bit. Returns
    how many changes there are.

    ``train(exp, **options)`` trains.
    """
    import torch

    from espnet_robust.common.saving import CHECKPOINT
    from espnet_robust.plugin.checkpoints import read_checkpoint

    def same(exp: Path, whole: Path) -> None:
        assert models(exp) == models(whole)
        for name in models(exp):
            a, b = (read_checkpoint(e / name) for e in (exp, whole))
            if name == CHECKPOINT:
                assert a["reporter"]["epoch"] == b["reporter"]["epoch"] == 3
                a, b = a["model"], b["model"]
            assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), name

    def kill_everywhere(train, tmp_path: Path, step: int, **options) -> int:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # forked processes have no others
        try:
            assert run_in_fork(lambda: train(tmp_path / "whole", **options)) == 0
            for count in range(0, 200, step):
                exp = tmp_path / str(count)

                def killed(count=count, exp=exp):
                    die_at(count)
                    train(exp, **options)

                status = run_in_fork(killed)
                if status == 0:
                    return count
                assert status == -signal.SIGKILL
                assert run_in_fork(lambda exp=exp: train(exp, **options)) == 0
                same(exp, tmp_path / "whole")
        finally:
            torch.set_num_threads(threads)
        raise AssertionError("it was always killed")

    return kill_everywhere


class Disk:
    """A small file system in a file, which can lose power.

    Names reach it when anything is synced; content only when it is synced itself, as on a machine
    whose kernel has not written it back yet.
    """

    def __init__(self, folder: Path):
        self.image, self.path = folder / "image", folder / "disk"
        self.failures: list[Path] = []
        self.path.mkdir()
        with open(self.image, "wb") as f:
            f.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True, capture_output=True)
        self.mount(self.image)

    def mount(self, image: Path) -> None:
        how = "loop,commit=600,data=writeback,noauto_da_alloc"
        subprocess.run(["mount", "-o", how, image, self.path], check=True, capture_output=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=False, capture_output=True)

    def fail(self) -> None:
        """Keep what would be left if the power failed now."""
        with open(self.path / "other", "w") as f:
            os.fsync(f.fileno())
        copy = self.image.with_name(f"failure{len(self.failures)}")
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
        self.failures.append(copy)

    def after(self, failure: Path) -> Path:
        """The disk as it was left, with the power back."""
        self.unmount()
        self.mount(failure)
        return self.path


@pytest.fixture
def disk(tmp_path):
    """A ``Disk``; skips the test where none can be mounted."""
    try:
        disk = Disk(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield disk
    disk.unmount()


@pytest.fixture
def failing_at(monkeypatch):
    """failing_at(disk, every): from now on the power fails after every so many renames."""

    def failing_at(disk: Disk, every: int) -> None:
        count = [0]

        def failing(rename):
            def call(*args, **kwargs):
                rename(*args, **kwargs)
                count[0] += 1
                if count[0] % every == 0:
                    disk.fail()

            return call

        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, failing(getattr(os, name)))

    return failing_at


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """slurm(*command) -> its output, with a Slurm of two nodes on this machine, n-a1 and n-a2.

    ``SLURM_CONF`` of the environment names it meanwhile. Skips the test where there is none.
    """
    folder = tmp_path_factory.mktemp("slurm")
    virtual = [sys.executable, str(ROOT / "tools/virtual_slurm.py")]
    started = subprocess.run([*virtual, "start", folder], capture_output=True, text=True)
    if started.returncode:
        why = started.stderr.strip().splitlines()[-1]
        assert "setup_tests" in why or "root" in why, started.stderr
        pytest.skip(why)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield lambda *command: subprocess.run(command, capture_output=True, text=True).stdout
    finally:
        subprocess.run([*virtual, "stop", folder], check=True)
        del os.environ["SLURM_CONF"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Small real corpora beside the checkout; skips the test where there are none."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return path


@pytest.fixture(scope="session")
def teacher_dir(tmp_path_factory) -> Path:
    """A HuBERT of three layers and 16 dimensions with random weights."""
    import torch
    from transformers import HubertConfig, HubertModel

    from espnet_robust.models.speech_model import write_preprocessor_config

    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("teacher")
    config = HubertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        conv_dim=[8] * 7, num_conv_pos_embeddings=15, num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
    )  # fmt: skip
    HubertModel(config).save_pretrained(directory)
    write_preprocessor_config(directory, normalize=True)
    return directory


@pytest.fixture(scope="session")
def student_dir(teacher_dir, tmp_path_factory) -> Path:
    """Its first two layers, as a student directory."""
    from espnet_robust.models.speech_model import load_teacher
    from espnet_robust.models.student import StudentConfig, build_student, save_student

    directory = tmp_path_factory.mktemp("student")
    save_student(build_student(load_teacher(teacher_dir), StudentConfig()), directory, {})
    return directory


@pytest.fixture(scope="session")
def with_eraser():
    """with_eraser(student): the student, with three directions of each layer erased."""
    import torch

    from espnet_robust.models.eraser import Eraser

    def with_eraser(student):
        generator = torch.Generator().manual_seed(3)
        size, rank = student.hidden_size, 3
        student.eraser = eraser = Eraser(student.num_layers + 1, size, rank)
        for layer in range(student.num_layers + 1):
            basis = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
            eraser.read[layer], eraser.write[layer] = basis[:, :rank], basis[:, :rank].T
            eraser.offset[layer] = torch.randn(rank, generator=generator)
        return student

    return with_eraser


TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
}
KINDS = {
    "hubert_layer_norm": ("Hubert", {"feat_extract_norm": "layer"}),
    "hubert_group_norm": ("Hubert", {"feat_extract_norm": "group"}),
    "hubert_large": ("Hubert", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "hubert_batch_norm": ("Hubert", {"feat_extract_norm": "layer", "conv_pos_batch_norm": True}),
    "wavlm": ("WavLM", {"feat_extract_norm": "group"}),
    "wavlm_large": ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "wav2vec2": ("Wav2Vec2", {"feat_extract_norm": "group"}),
    "wav2vec2_large": (
        "Wav2Vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "add_adapter": True},
    ),
    "data2vec": ("Data2VecAudio", {"conv_pos_kernel_size": 5}),
    "unispeech_sat": ("UniSpeechSat", {"feat_extract_norm": "group"}),
    "unispeech_sat_large": (
        "UniSpeechSat",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "w2v_bert": ("Wav2Vec2Bert", {"conv_depthwise_kernel_size": 5}),
}


@pytest.fixture(scope="session")
def teacher_dirs(tmp_path_factory):
    """{kind: directory} of every architecture, random weights."""
    import torch
    import transformers

    from espnet_robust.models.speech_model import write_preprocessor_config

    dirs = {}
    for kind, (name, options) in KINDS.items():
        torch.manual_seed(0)
        dirs[kind] = tmp_path_factory.mktemp(kind)
        config = getattr(transformers, f"{name}Config")(**TINY, **options)
        getattr(transformers, f"{name}Model")(config).save_pretrained(dirs[kind])
        if kind == "w2v_bert":
            extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1.0)
            extractor.save_pretrained(dirs[kind])
        else:
            write_preprocessor_config(dirs[kind], normalize=kind != "hubert_group_norm")
    return dirs


@pytest.fixture
def teacher(teacher_dirs):
    """A frozen teacher of 4 layers of 16, targets 2 and 4."""
    from espnet_robust.models.speech_model import load_teacher

    return load_teacher(teacher_dirs["hubert_layer_norm"], [2, 4])


@pytest.fixture
def batch():
    """wav (3, 8000) with rubbish in the padding, lengths (3,)."""
    import torch

    generator = torch.Generator().manual_seed(1)
    wav = torch.randn(3, 8000, generator=generator) * 0.1
    return wav, torch.tensor([8000, 6123, 3000])


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; skips the test where it or playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here; tools/setup_tests.sh installs it")
    # Without a sandbox, which root cannot have.
    options = [f"--use-fake-{what}-for-media-stream" for what in ("device", "ui")]
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=path, args=["--no-sandbox", *options])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """open_page(url, width=1300, theme="light"): a page, once it is ready.

    ``messages`` holds what it wrote to the console and errors, ``asked`` the URLs it asked for.
    """
    pages = []

    def open_page(url: str, width: int = 1300, theme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        pages.append(page)
        page.messages, page.asked = [], []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def violations():
    """violations(page): what axe-core finds wrong with its accessibility, a line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def violations(page) -> list[str]:
        found = axe.run(page).response["violations"]
        return [f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}" for v in found]

    return violations
