"""Uploads, through huggingface_hub, to a server on this machine that speaks the hub's protocol."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import soundfile
from espnet2.bin.asr_inference import Speech2Text

from espnet_robust import register
from espnet_robust.bin import upload as command
from espnet_robust.common.errors import UserError
from espnet_robust.publish.hub import check_repo, check_repos
from espnet_robust.publish.repos import packed as packed_of
from espnet_robust.publish.repos import packed_folders

TOKEN = "hf_writer"
GREEDY = {"ctc_weight": 1.0, "beam_size": 2}
COMMIT = "1" * 40  # of every repository
# What the card of a recogniser shows, on the file it is given.
RECOGNISE = """
import sys, soundfile
from espnet2.bin.asr_inference import Speech2Text
from espnet_model_zoo import downloader
from espnet_robust import register

register()
init = downloader.ModelDownloader.__init__  # its cache is beside its code unless it is told another
downloader.ModelDownloader.__init__ = lambda self: init(self, cachedir=sys.argv[1])
recognise = Speech2Text.from_pretrained(sys.argv[2], ctc_weight=1.0, beam_size=2)
for path in sys.argv[3:]:
    print("HEARD", recognise(soundfile.read(path, dtype="float32")[0])[0][0])
"""


class Hub:
    """Repositories, and the store of large files; the next ``broken`` large files do not arrive."""

    def __init__(self):
        self.repos: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.received: list[str] = []
        self.broken = 0


class Handler(BaseHTTPRequestHandler):
    """The part of the hub's API by which a folder is uploaded: repositories, LFS, commits."""

    hub: Hub

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid credentials"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        repo = "/".join(self.path.removeprefix("/api/models/").lstrip("/").split("/")[:2])
        if self.path.endswith("/info/lfs/objects/batch"):
            return self.batch(json.loads(body))
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if f["path"].endswith((".pth", ".safetensors")) else "regular"}
                for f in json.loads(body)["files"]
            ]  # fmt: skip
            return self.answer(200, {"files": files})
        if "/commit/" in self.path:
            return self.commit(repo, body)
        return self.answer(404, {"error": f"no {self.path}"})

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        if self.hub.broken:
            self.hub.broken -= 1
            return self.answer(400, {"error": "the connection broke"})
        assert hashlib.sha256(data).hexdigest() == oid
        self.hub.stored[oid] = data
        self.hub.received.append(oid)
        return self.answer(200, {})

    def do_GET(self):
        if self.path.startswith("/api/models/"):
            parts = self.path.removeprefix("/api/models/").split("/")
            name = "/".join(parts[:2])
            files = self.hub.repos.get(name)
            if files is not None and "tree" in parts:
                listed = [{"type": "file", "path": file, "size": len(data),
                           "oid": hashlib.sha256(data).hexdigest()}
                          for file, data in files.items()]  # fmt: skip
                return self.answer(200, listed)
            if files is not None:
                listed = [{"rfilename": file} for file in files]
                return self.answer(200, {"id": name, "sha": COMMIT, "siblings": listed})
        name, _, file = self.path.lstrip("/").partition(f"/resolve/{COMMIT}/")
        data = self.hub.repos.get(name, {}).get(file)
        if data is None:
            return self.answer(404, {"error": "not found"})
        return self.send(
            200, data, ETag=hashlib.sha256(data).hexdigest(), **{"X-Repo-Commit": COMMIT}
        )

    do_HEAD = do_GET

    def create(self, wanted):
        owner = wanted.get("organization") or "me"
        if owner != "me":
            return self.answer(403, {"error": f"no rights in namespace {owner}"})
        name = f"{owner}/{wanted['name']}"
        new = name not in self.hub.repos
        self.hub.repos.setdefault(name, {})
        return self.answer(200 if new else 409, {"url": f"{self.root}/{name}", "id": name})

    def batch(self, wanted):
        objects = []
        for one in wanted["objects"]:
            if one["oid"] not in self.hub.stored:
                one["actions"] = {"upload": {"href": f"{self.root}/store/{one['oid']}"}}
            objects.append(one)
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def commit(self, repo, body):
        for line in body.decode().splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                self.hub.repos[repo][value["path"]] = self.hub.stored[value["oid"]]
        root = f"{self.root}/{repo}"
        return self.answer(200, {"commitUrl": f"{root}/commit/{COMMIT}", "commitOid": COMMIT,
                                 "success": True, "hookOutput": ""})  # fmt: skip

    @property
    def root(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, status, content):
        return self.send(
            status, json.dumps(content).encode(), **{"Content-Type": "application/json"}
        )

    def send(self, status, data, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    """(the hub's content, its address)"""
    content = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": content}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield content, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def exp(tmp_path):
    """exp/short/cdm1_seed0, with something packed."""
    directory = tmp_path / "exp/short/cdm1_seed0"
    for kind, weights in (("asr", "valid.loss.best.pth"), ("student", "model.safetensors")):
        folder = directory / "packed" / kind
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"---\nlicense: other\n---\n# {kind}\n")
        (folder / weights).write_bytes(kind.encode() * 100)
    (directory / "scores.json").write_text("{}")
    packed_of(directory, "asr", "valid.loss.best.pth").finish([])
    return directory


@pytest.fixture
def python(hub, root, tmp_path):
    """python(*args, HF_...=VALUE) -> the finished process, for which this server is the hub."""

    def run(*args, **env):
        given = {"HF_ENDPOINT": hub[1], "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0",
                 "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf"),
                 "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONPATH": str(root)} | env  # fmt: skip
        given = {k: v for k, v in (os.environ | given).items() if v != "none"}
        command = [sys.executable, *map(str, args)]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def upload(python, exp):
    """upload(repo, HF_...=VALUE) -> the finished command."""

    def run(repo="me/mini", **env):
        return python("-m", "espnet_robust", "upload", "--upload_hf", repo, exp, **env)

    return run


def one_error(done):
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line


def test_both_models_arrive(hub, exp, upload):
    done = upload()
    assert done.returncode == 0, done.stderr
    for kind in ("asr", "student"):
        sent = {p.name: p.read_bytes() for p in (exp / "packed" / kind).iterdir()}
        assert hub[0].repos[f"me/mini-cdm1_seed0-{kind}"] == sent
        assert f"{hub[1]}/me/mini-cdm1_seed0-{kind}" in done.stdout


def test_a_recogniser_comes_back_from_the_hub(trained, packed, speech, python, tmp_path):
    """Packed, uploaded and downloaded by its name, it hears what it heard where it was trained."""
    done = python("-m", "espnet_robust", "upload", "--upload_hf", "me/mini", trained)
    assert done.returncode == 0, done.stderr
    sounds = sorted(speech.glob("*.wav"))
    there = python("-c", RECOGNISE, tmp_path / "cache", "me/mini-cdm1_seed0-asr", *sounds)
    assert there.returncode == 0, there.stderr
    heard = [line[6:] for line in there.stdout.splitlines() if line.startswith("HEARD ")]
    exp = trained / "asr"
    register()
    here = Speech2Text(exp / "config.yaml", exp / "valid.loss.best.pth", **GREEDY)
    assert heard == [here(soundfile.read(path, dtype="float32")[0])[0][0] for path in sounds]
    assert len(set(heard)) > 1


def test_what_was_packed_before_the_model_changed_stays_here(hub, exp, upload):
    (exp / "scores.json").write_text('{"later": true}')
    message = one_error(upload())
    assert "packed: was made of something else: scores.json changed; pack the system" in message
    (exp / "packed/made_of.json").unlink()
    assert "it does not say what it was made of; pack" in one_error(upload())
    assert not hub[0].repos


def test_an_upload_that_broke_goes_on(hub, exp, upload):
    first = hub[0]
    assert upload().returncode == 0  # asr and student are there
    (exp / "packed/asr/valid.loss.best.pth").write_bytes(b"new" * 100)
    (exp / "packed/student/model.safetensors").write_bytes(b"newer" * 100)
    first.received.clear()
    first.broken = 1
    message = one_error(upload())
    assert "failed: " in message and "run it again" in message
    assert first.repos["me/mini-cdm1_seed0-asr"]["valid.loss.best.pth"] == b"asr" * 100
    assert upload().returncode == 0
    assert first.repos["me/mini-cdm1_seed0-asr"]["valid.loss.best.pth"] == b"new" * 100
    assert len(first.received) == len(set(first.received)) == 2


def test_what_is_there_is_not_sent_again(hub, upload):
    assert upload().returncode == 0 and upload().returncode == 0
    assert len(hub[0].received) == len(set(hub[0].received)) == 2


def test_no_token(upload):
    message = one_error(upload(HF_TOKEN="none"))
    assert "upload: no token for the hub; log in with `hf auth login`, or set HF_TOKEN" in message


def test_an_unknown_token(upload):
    assert "the hub rejects this token; log in" in one_error(upload(HF_TOKEN="hf_wrong"))


def test_somebody_elses_name(upload):
    message = one_error(upload("nobody/mini"))
    assert "there is no user or organisation 'nobody', or this token has no access" in message


def test_offline(upload):
    assert "HF_HUB_OFFLINE is set; unset it" in one_error(upload(HF_HUB_OFFLINE="1"))


def test_no_hub(upload):
    message = one_error(upload(HF_ENDPOINT="http://127.0.0.1:1"))
    assert "failed: " in message and "run it again" in message


@pytest.mark.parametrize(
    "repo", ["mini", "me/", "me/a/b", "../x", "me/a b", "me/a--b", "a/" + "b" * 99]
)
def test_names_that_are_none(repo):
    with pytest.raises(UserError, match="is not a repository name on the hub; write USER/NAME"):
        check_repo(repo)
    check_repo("some-user/mini.1_x")


def test_the_names_of_all_repositories():
    longest = "me/" + "x" * (96 - len("me/-cdm1_seed10-student"))
    check_repos(longest, ["logmel", "cdm1"], ["0", "10"], "asr")
    check_repos(longest + "x", ["cdm1"], ["0"], "cls")  # a seed of one digit
    name = rf"{longest}x-cdm1_seed10-student, of 97 characters; .*at most 96: change USER/NAME"
    with pytest.raises(UserError, match=name):
        check_repos(longest + "x", ["logmel", "cdm1"], ["0", "10"], "asr")
    check_repos("me/" + "x" * (96 - len("me/-logmel_seed0-asr")), ["logmel"], ["0"], "asr")
    with pytest.raises(UserError, match="would be me/mini--cdm1_seed0-cls, of 23 characters"):
        check_repos("me/mini-", ["cdm1"], ["0"], "cls")
    with pytest.raises(UserError, match="'mini' is not a repository name"):
        check_repos("mini", [], [], "asr")


def test_names_that_are_too_long_are_refused_before_any_upload(exp, monkeypatch):
    sent = []
    monkeypatch.setattr("espnet_robust.publish.hub.upload", lambda *args: sent.append(args))
    prefix = "me/" + "x" * (96 - len("me/-cdm1_seed0-asr"))  # that of the student is longer
    with pytest.raises(UserError, match="-student, of 100 characters"):
        command.main(["--upload_hf", prefix, str(exp)])
    assert not sent


def test_nothing_packed(tmp_path):
    with pytest.raises(UserError, match="nothing is packed there; pack the system first"):
        packed_folders("me/mini", tmp_path)
