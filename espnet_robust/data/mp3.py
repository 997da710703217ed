"""MP3: a stream of frames that stores no length, except in an optional first frame.

Encoders put the number of frames and bytes into that frame, named Xing or Info. Without it,
libsndfile guesses the length from the bit rate of the first frame and reads no further.
"""

from typing import NamedTuple

# Layer III bit rates in kbit/s by index, for MPEG 1 and for MPEG 2 and 2.5.
_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


class _Frame(NamedTuple):
    at: int  # offset of its first byte
    length: int  # bytes
    kind: bytes  # the header bits that all frames of a stream share
    tag: int  # offset of Xing or Info, if it is such a frame
    mpeg1: bool  # rather than 2 or 2.5


def to_decode(data: bytes) -> tuple[bytes, int, str | None]:
    """The bytes that make libsndfile decode everything in ``data``.

    A file whose first frame holds the right counts is passed on unchanged, so that the encoder's
    padding is left out. Others get a silent first frame of the lowest bit rate, from which
    libsndfile's guess is never too short.

    Returns:
        A file, the number of its leading samples to drop, and why ``data`` is truncated, or None.
    """
    first = _first_frame(data)
    if first is None:
        return data, 0, None
    start = first.at
    if data[first.tag : first.tag + 4] in (b"Xing", b"Info"):
        counts = data[first.tag + 4 : first.tag + 16]
        if counts[3] & 3 == 3:  # it counts frames and bytes
            end = first.at + int.from_bytes(counts[8:], "big")
            if end > len(data):
                return data, 0, f"its header promises {end} bytes, but it has {len(data)}"
            if _first_frame(data, end) is None:
                return data, 0, None
        # Another file follows this one, or the counts were never filled in.
        start += first.length
    head = data[first.at : first.at + 4]
    head = bytes((head[0], head[1] | 1, head[2] & 0x0C | 0x10, head[3]))  # without a checksum
    frame = _frame(head, 0)
    assert frame, "a frame header stays valid without its checksum"
    silence = head.ljust(frame.length, b"\0")
    return silence + data[start:], 1152 if first.mpeg1 else 576, None


def _first_frame(data: bytes, at: int = 0) -> _Frame | None:
    """The first frame from ``at`` on, after any tags, if another of its kind follows it."""
    while data[at : at + 3] == b"ID3":  # each byte of the length has seven bits
        digits = data[at + 6 : at + 10]
        at += 10 + sum(digit << 7 * (3 - i) for i, digit in enumerate(digits))
    for start in range(at, min(at + 65536, len(data))):
        if data[start] == 0xFF and (frame := _frame(data, start)):
            following = _frame(data, start + frame.length)
            if following and following.kind == frame.kind:
                return frame
    return None


def _frame(data: bytes, at: int) -> _Frame | None:
    """The layer III frame whose header is at ``at``."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version = head[1] >> 3 & 3
    bits, rate, mono = head[2] >> 4, head[2] >> 2 & 3, head[3] >> 6 == 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    first = version == 3
    length = (144000 if first else 72000) * _KBITS[first][bits] // _RATES[version][rate]
    side = (17 if mono else 32) if first else (9 if mono else 17)
    kind = bytes((head[1] & 0xFE, head[2] & 0x0C))
    return _Frame(at, length + (head[2] >> 1 & 1), kind, at + 4 + side, first)
