"""Downloads, from a server on this machine that can break off, forget ranges, or lie."""

import hashlib
import io
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from espnet_robust.bin.download import main
from espnet_robust.common.errors import UserError
from espnet_robust.corpora.download import PUBLISHED, download, unpack


def tar(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as f:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            f.addfile(info, io.BytesIO(content))
    return archive.getvalue()


# Bytes that do not compress, so that the archive can break off in the middle.
TAKE = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(200))
FSDD = tar({"free-spoken-digit-dataset-1.0.9/recordings/0_theo_0.wav": TAKE})


class Server:
    """What a test sets, and what it was asked."""

    def __init__(self):
        self.content = FSDD
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.ranges = True
        self.status = 200
        self.asked: list[str | None] = []

    def handler(server):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                server.asked.append(asked)
                start = int(asked[6:-1]) if asked and server.ranges else 0
                if server.status != 200 or start >= len(server.content):
                    self.send_error(server.status if server.status != 200 else 416)
                    return
                body = server.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
    Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_port}/fsdd.tar.gz"
    yield server
    http.shutdown()
    http.server_close()


@pytest.fixture
def fetch(server, tmp_path):
    """fetch(pauses=...) -> the root, from this server with the right checksum."""

    def fetch(pauses=(), sha256=None):
        sha256 = sha256 or hashlib.sha256(FSDD).hexdigest()
        out = tmp_path / "downloads"
        return download("fsdd", out, url=server.url, sha256=sha256, pauses=pauses)

    return fetch


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "downloads").iterdir())


def test_whole(fetch, server, tmp_path):
    root = fetch()
    assert (root / "recordings/0_theo_0.wav").read_bytes() == TAKE
    assert names(tmp_path) == ["free-spoken-digit-dataset"]
    fetch()
    assert server.asked == [None]  # what is there is not fetched again


def test_broken_transfers_go_on_where_they_stopped(fetch, server):
    server.cuts = [1000, 500]
    root = fetch(pauses=(0, 0))
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert (root / "recordings/0_theo_0.wav").read_bytes() == TAKE


def test_the_next_call_goes_on_too(fetch, server, tmp_path):
    server.cuts = [1000]
    with pytest.raises(UserError, match="broke off after 1000 bytes; run this again to resume"):
        fetch()
    assert names(tmp_path) == ["fsdd_v1.0.9.tar.gz.part"]
    fetch()
    assert server.asked == [None, "bytes=1000-"]
    assert names(tmp_path) == ["free-spoken-digit-dataset"]


def test_a_server_without_ranges_begins_anew(fetch, server):
    server.ranges, server.cuts = False, [1000]
    assert (fetch(pauses=(0,)) / "recordings/0_theo_0.wav").read_bytes() == TAKE


def test_a_whole_part_is_not_fetched_again(fetch, server, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/fsdd_v1.0.9.tar.gz.part").write_bytes(FSDD)
    assert (fetch() / "recordings/0_theo_0.wav").read_bytes() == TAKE


def test_wrong_checksum_leaves_nothing(fetch, tmp_path):
    with pytest.raises(UserError, match=r"wrong checksum: SHA-256 \w{64}, not 0{64}; deleted"):
        fetch(sha256="0" * 64)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<html>moved</html>", "not a complete tar file"),
        (FSDD[:1500], "not a complete tar file"),
        (tar({"other/a.wav": TAKE}), "no free-spoken-digit-dataset-1.0.9/ in it"),
        (tar({"../a.wav": TAKE}), "not a complete tar file"),
    ],
)
def test_other_archives_leave_nothing_unpacked(fetch, server, tmp_path, content, message):
    server.content = content
    with pytest.raises(UserError, match=message):
        fetch(sha256=hashlib.sha256(content).hexdigest())
    assert names(tmp_path) == []
    assert not (tmp_path / "a.wav").exists()


def test_damage_behind_the_last_file_is_found(server, tmp_path):
    """AN4 has no published checksum; gzip's own is at the very end, where tar does not read."""
    whole = tar({"an4/etc/an4_train.fileids": b"x"})
    crc = len(whole) - 8
    for content in (whole[:crc] + bytes([whole[crc] ^ 1]) + whole[crc + 1 :], whole[:-4]):
        server.content = content
        with pytest.raises(UserError, match="not a complete tar file .*; deleted, run this again"):
            download("an4", tmp_path / "downloads", url=server.url, pauses=())
        assert names(tmp_path) == []
    server.content = whole
    assert (download("an4", tmp_path / "downloads", url=server.url) / "etc").is_dir()


@pytest.mark.parametrize(
    ("kind", "target", "whole"),
    [
        (tarfile.SYMTYPE, "0_theo_0.wav", True),
        (tarfile.SYMTYPE, "../../../../outside", False),
        (tarfile.SYMTYPE, "/etc/passwd", False),
        (tarfile.LNKTYPE, "../outside", False),
        (tarfile.FIFOTYPE, "", False),
    ],
)
def test_links_must_stay_inside(tmp_path, kind, target, whole):
    file, corpus = tmp_path / "a.tar", tmp_path / "corpus"
    with tarfile.open(file, "w") as archive:
        take = tarfile.TarInfo("fsdd/recordings/0_theo_0.wav")
        take.size = len(TAKE)
        archive.addfile(take, io.BytesIO(TAKE))
        link = tarfile.TarInfo("fsdd/recordings/link.wav")
        link.type, link.linkname = kind, target
        archive.addfile(link)
    if whole:
        unpack(file, corpus, "fsdd")
        assert (corpus / "recordings/link.wav").read_bytes() == TAKE
    else:
        with pytest.raises(UserError, match="link.wav"):
            unpack(file, corpus, "fsdd")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status, message", [(404, "404 Not Found"), (503, "run this again")])
def test_refusing_servers(fetch, server, status, message):
    server.status = status
    with pytest.raises(UserError, match=message):
        fetch()


def test_without_a_published_checksum_it_says_so(server, tmp_path, capsys):
    server.content = tar({"an4/etc/an4_train.fileids": b""})
    main(["an4", str(tmp_path / "downloads"), "--url", server.url])
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path}/downloads/an4\n"
    assert f"{hashlib.sha256(server.content).hexdigest()}: compare it" in shown.err


def test_unknown_part(tmp_path):
    with pytest.raises(UserError, match="no part 'dev-mini' to download; there are dev-clean,"):
        download("librispeech", tmp_path, ["dev-mini"])


def test_published_sums_are_sums():
    archives = [a for corpus in PUBLISHED.values() for a in corpus.parts.values()]
    sums = [a.sha256 for a in archives if a.sha256]
    assert len(sums) == len(set(sums)) == len(archives) - 1  # none is published of AN4
    assert all(len(bytes.fromhex(s)) == 32 for s in sums)
