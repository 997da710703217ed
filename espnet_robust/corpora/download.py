"""Download corpora whose licence allows it: resume, verify the checksum, unpack."""

import gzip
import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import sync, sync_tree, temporary_beside

CHUNK = 1 << 20  # bytes
TIMEOUT = 60  # s without receiving a byte
PAUSES = (1, 5, 20)  # s before each new attempt after an interrupted transfer


@dataclass(frozen=True)
class Archive:
    """A tar archive of a corpus.

    Args:
        url: where it is published.
        inside: the directory of the archive to keep; "." keeps everything.
        target: where that directory goes, relative to the download directory.
        root: the corpus's directory there, for ``prepare_corpus CORPUS --root``.
        sha256: the archive's checksum, or None if nobody publishes one.
    """

    url: str
    inside: str
    target: str
    root: str
    sha256: str | None = None


@dataclass(frozen=True)
class Published:
    """A corpus to download.

    Args:
        parts: name -> archive.
        default: the parts downloaded if none is named.
    """

    parts: Mapping[str, Archive]
    default: tuple[str, ...]


def _librispeech(part: str, sha256: str) -> Archive:
    place = f"LibriSpeech/{part}"
    url = f"https://www.openslr.org/resources/12/{part}.tar.gz"
    return Archive(url, place, place, "LibriSpeech", sha256)


def _speech_commands(version: str, sha256: str) -> Archive:
    name = f"speech_commands_{version}"
    url = f"https://storage.googleapis.com/download.tensorflow.org/data/{name}.tar.gz"
    return Archive(url, ".", name, name, sha256)


# The SHA-256 of LibriSpeech and Speech Commands are from torchaudio.datasets, that of FSDD from
# TensorFlow Datasets (spoken_digit/checksums.tsv).
PUBLISHED = {
    "an4": Published(
        {
            "sphere": Archive(
                "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz", "an4", "an4", "an4"
            )
        },
        ("sphere",),
    ),
    "fsdd": Published(
        {
            "v1.0.9": Archive(
                "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
                "free-spoken-digit-dataset-1.0.9",
                "free-spoken-digit-dataset",
                "free-spoken-digit-dataset",
                "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
            )
        },
        ("v1.0.9",),
    ),
    "librispeech": Published(
        {
            part: _librispeech(part, sha256)
            for part, sha256 in {
                "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
                "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
                "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
                "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
                "train-clean-100": (
                    "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"
                ),
                "train-clean-360": (
                    "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"
                ),
                "train-other-500": (
                    "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"
                ),
            }.items()
        },
        ("train-clean-100", "dev-clean", "test-clean", "test-other"),
    ),
    "speech_commands": Published(
        {
            "v0.01": _speech_commands(
                "v0.01", "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"
            ),
            "v0.02": _speech_commands(
                "v0.02", "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
            ),
        },
        ("v0.02",),
    ),
}


def download(
    corpus: str,
    directory: Path,
    parts: Sequence[str] = (),
    *,
    url: str = "",
    sha256: str = "",
    pauses: Sequence[float] = PAUSES,
) -> Path:
    """Download and unpack the parts of a corpus that are not yet in ``directory``.

    An interrupted transfer resumes where it stopped, within this call and in the next. An archive
    is unpacked completely or not at all, and then deleted.

    Args:
        parts: names of the parts; none: the corpus's default in ``PUBLISHED``.
        url: a mirror, if a single part is named.
        sha256: the checksum of that single part, instead of the published one.
        pauses: seconds before each new attempt.

    Returns:
        The directory of the corpus, for ``prepare_corpus CORPUS --root``.

    Raises:
        UserError: an unknown part, an interrupted transfer, a wrong checksum, or another archive.
    """
    published = PUBLISHED[corpus]
    names = tuple(parts) or published.default
    _check_parts(corpus, names, one=bool(url or sha256))
    for name in names:
        archive = published.parts[name]
        if not (directory / archive.target).exists():
            given = replace(
                archive, url=url or archive.url, sha256=sha256.lower() or archive.sha256
            )
            _get(given, directory / f"{corpus}_{name}.tar.gz", pauses)
    return directory / published.parts[names[0]].root


def _get(archive: Archive, file: Path, pauses: Sequence[float]) -> None:
    directory = file.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fetch(archive.url, file, archive.sha256, pauses=pauses)
        unpack(file, directory / archive.target, archive.inside)
        file.unlink()
    except OSError as e:
        raise UserError(f"{directory}: cannot be written: {e.strerror or e}") from None


def _check_parts(corpus: str, names: Sequence[str], one: bool) -> None:
    there = PUBLISHED[corpus].parts
    if unknown := [name for name in names if name not in there]:
        raise UserError(
            f"{corpus} has no part {unknown[0]!r} to download; there are {', '.join(there)}"
        )
    if one and len(names) != 1:
        raise UserError("--url and --sha256 are for one archive: name one part")


def fetch(url: str, file: Path, sha256: str | None, *, pauses: Sequence[float] = PAUSES) -> None:
    """Download ``url`` to ``file``, by way of ``FILE.part``, which a later call resumes.

    Raises:
        UserError: as for ``download``. After a wrong checksum the file is deleted.
    """
    if file.exists():
        return
    part = file.with_name(f"{file.name}.part")
    for pause in (*pauses, None):
        broken = _transfer(url, part)
        if not broken:
            break
        if pause is None:
            size = part.stat().st_size if part.exists() else 0
            raise UserError(f"{url}: {broken} after {size} bytes; run this again to resume")
        time.sleep(pause)
    found = _sha256(part)
    if sha256 is None:
        print(
            f"{url}: no checksum is published; the SHA-256 of this file is {found}: compare it with"
            " one you trust (--sha256)",
            file=sys.stderr,
        )
    elif found != sha256:
        part.unlink()
        raise UserError(
            f"{url}: wrong checksum: SHA-256 {found}, not {sha256}; deleted, run this again"
        )
    sync([part])
    os.replace(part, file)


def _transfer(url: str, part: Path) -> str:
    """Continue ``part``; return what interrupted it, or "" if it is complete."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            if response.status != 206:  # the server does not support ranges: start again
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            name = url.rpartition("/")[2]
            progress = partial(tqdm, desc=name, unit="B", unit_scale=True, mininterval=1)
            with (
                part.open("ab" if have else "wb") as f,
                progress(total=total, initial=have) as bar,
            ):
                while chunk := response.read(CHUNK):
                    f.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as e:
        if e.code == 416:  # all bytes are already here
            return ""
        if e.code < 500:
            raise UserError(f"{url}: {e.code} {e.reason}; give another address (--url)") from None
        return f"{e.code} {e.reason}"
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as e:
        return f"transfer broke off ({getattr(e, 'reason', e)})"
    if total is not None and part.stat().st_size != total:
        return "transfer broke off"
    return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _extract(archive: tarfile.TarFile, into: Path) -> None:
    """Like ``extractall(filter="data")``, which Python has only since 3.11.4."""
    for member in archive:
        path = into / member.name
        places = [path]
        if member.issym():
            places.append(path.parent / member.linkname)
        elif member.islnk():
            places.append(into / member.linkname)
        elif not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name} is not a file")
        if not all(place.resolve().is_relative_to(into.resolve()) for place in places):
            raise tarfile.TarError(f"{member.name} leads outside")
        archive.extract(member, into, set_attrs=False)


def unpack(file: Path, target: Path, inside: str) -> None:
    """Unpack the directory ``inside`` of a tar archive as ``target``, completely or not at all.

    Raises:
        UserError: not a tar archive, nothing at ``inside``, or a member that leads outside.
    """
    temporary = temporary_beside(target)
    temporary.mkdir(parents=True)
    try:
        with tarfile.open(file) as archive:
            _extract(archive, temporary)
            # Read past the end of the archive to that of the compression, which has a checksum.
            while archive.fileobj.read(CHUNK):
                pass
        if not (temporary / inside).is_dir():
            file.unlink()
            raise UserError(f"{file}: no {inside}/ in it, so it is not this corpus; deleted")
        sync_tree(temporary / inside)
        os.rename(temporary / inside, target)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as e:
        file.unlink()
        raise UserError(f"{file}: not a complete tar file ({e}); deleted, run this again") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
