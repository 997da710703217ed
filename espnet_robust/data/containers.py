"""Is an audio file complete? Compare the length in its header with the bytes that are there.

libsndfile clamps the length in the header to the size of the file, so half a file reads like a
shorter complete one. Encoders that write to a pipe cannot know the length; each marks it as open
in its own way, and such a file simply ends where its bytes end.
"""

from collections.abc import Callable, Iterator
from typing import Literal

# libsndfile's names for the formats that show whether a file is complete.
FORMATS = frozenset(
    {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3"}
)
Order = Literal["little", "big"]
Read = Callable[[int, int], bytes]  # offset, number of bytes (fewer at the end of the file)

_OPEN = frozenset({0, 0x7FFFFFFF, 0xFFFFFFFF})  # lengths that mean "unknown"
# sox writes these, rounded down to whole samples, for WAV and for AIFF.
_OPEN_SOX = (0x7FFFF000, 0x7F000008)
_MAX_BLOCK = 1024  # bytes of one sample of all channels
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the longest page
# Chunks that may follow the samples; after an empty ``data`` chunk they show that it is empty.
_AFTER_DATA = (b"LIST", b"fact", b"bext", b"cue ", b"id3 ", b"ID3 ", b"PEAK", b"JUNK", b"smpl")


def why_cut_off(read: Read, size: int) -> str | None:
    """Say why a file is incomplete; None if it is complete as far as its container can tell.

    Args:
        read: returns bytes of the file.
        size: bytes in the file.
    """
    head = read(0, 16)
    if head[:4] == b"OggS":
        return _ogg(read, size)
    for magic, end_of in _END_OF.items():
        if head.startswith(magic):
            end = end_of(read, size)
            if end is not None and end > size:
                return f"its header promises {end} bytes, but it has {size}"
            return None
    return None


def with_open_length(data: bytes) -> bytes | None:
    """Patch a WAV or RF64 file whose length was left at 0, so that libsndfile reads all of it.

    Returns:
        The file with a length that libsndfile takes for "to the end"; None if ``data`` is another
        kind of file, or if it really holds no samples.
    """
    if data[:4] not in (b"RIFF", b"RF64"):
        return None
    for kind, at, length in _chunks(lambda start, n: data[start : start + n], len(data), "little"):
        if kind == b"data":
            if length not in (0, 0xFFFFFFFF) or data[at : at + 4] in (b"", *_AFTER_DATA):
                return None
            return b"RIFF" + data[4 : at - 4] + b"\xff" * 4 + data[at:]
    return None


def _chunks(read: Read, size: int, order: Order) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, offset of its content, its length as written) for the chunks of RIFF or AIFF."""
    at = 12
    while at + 8 <= size:
        head = read(at, 8)
        length = int.from_bytes(head[4:], order)
        yield head[:4], at + 8, length
        at += 8 + length + length % 2


def _is_open(length: int) -> bool:
    return length in _OPEN or any(0 <= top - length < _MAX_BLOCK for top in _OPEN_SOX)


def _riff(read: Read, size: int) -> int | None:
    magic = read(0, 4)
    order: Order = "big" if magic == b"RIFX" else "little"
    long_length = 0
    for kind, at, length in _chunks(read, size, order):
        if kind == b"ds64":
            long_length = int.from_bytes(read(at + 8, 8), order)
        elif kind == b"data":
            if magic == b"RF64" and length == 0xFFFFFFFF:
                return at + long_length if long_length < 1 << 62 else None
            return None if _is_open(length) else at + length
    return None


def _aiff(read: Read, size: int) -> int | None:
    for kind, at, length in _chunks(read, size, "big"):
        if kind == b"SSND":
            return None if _is_open(length) else at + length
    return None


def _w64(read: Read, size: int) -> int | None:
    """Sony's variant of RIFF: 16-byte names, 8-byte lengths that include these 24 bytes."""
    at = 40
    while at + 24 <= size:
        head = read(at, 24)
        length = int.from_bytes(head[16:], "little")
        if head[:16] == _W64_DATA:
            return None if length <= 24 or length >= 1 << 62 else at + length
        if length < 24:
            return None
        at += -(-length // 8) * 8
    return None


def _au(read: Read, size: int) -> int | None:
    head = read(0, 12)
    order: Order = "big" if head[:4] == b".snd" else "little"
    start, length = (int.from_bytes(head[i : i + 4], order) for i in (4, 8))
    return None if _is_open(length) else start + length


def _caf(read: Read, size: int) -> int | None:
    at = 8
    while at + 12 <= size:
        head = read(at, 12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data":
            return None if length < 0 else at + 12 + length
        at += 12 + max(length, 0)
    return None


def _sphere(read: Read, size: int) -> int | None:
    """NIST: a text header of ``name -type value`` lines; streams have no ``sample_count``."""
    start = int(read(8, 8).strip() or b"1024")
    fields = {}
    for line in read(0, start).split(b"\n"):
        parts = line.split()
        if len(parts) == 3 and parts[2].isdigit():  # libsndfile writes some of them as strings
            fields[parts[0]] = int(parts[2])
    count = fields.get(b"sample_count", 0)
    return start + count * fields.get(b"channel_count", 1) * fields.get(b"sample_n_bytes", 2)


def _ogg(read: Read, size: int) -> str | None:
    """Check that the last page is complete and is flagged as the last of its stream."""
    tail = read(max(0, size - 2 * _OGG_PAGE), 2 * _OGG_PAGE)
    at = tail.rfind(b"OggS\0")
    page = tail[at:]
    if at < 0 or len(page) < 27:
        return "its last page is cut off"
    segments = page[27 : 27 + page[26]]
    if len(segments) < page[26] or len(page) < 27 + len(segments) + sum(segments):
        return "its last page is cut off"
    if not page[5] & 4:
        return "its last page does not end the stream (if it does: ffmpeg -i IN -c copy OUT)"
    return None


_END_OF: dict[bytes, Callable[[Read, int], int | None]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _riff,
    b"FORM": _aiff,
    b"riff": _w64,
    b"caff": _caf,
    b".snd": _au,
    b"dns.": _au,
    b"NIST_1A": _sphere,
}
