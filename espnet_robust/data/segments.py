"""Kaldi's ``segments``: utterances that are parts of longer recordings.

A line is ``UTTERANCE RECORDING START END [CHANNEL]``, with times in seconds; ``wav.scp`` then holds
recordings. An END of -1 is the end of the recording. Kaldi's extract-segments shortens an utterance
that ends up to 0.5 s too late and skips what it cannot cut. Here an END may be 10 ms late, from
rounding; anything else is refused when the audio is read, naming the utterance.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.entries import segment_entry
from espnet_robust.data.words import words

_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


def parse(utt: str, line: str, where: str) -> tuple[str, str, str, str | None]:
    """(recording, start, end, channel) of one utterance, as written in the file.

    Raises:
        DataDirError: not 4 or 5 columns, not times, or an end that is not after the start.
    """
    columns = words(line)
    if len(columns) not in (3, 4):
        raise DataDirError(
            f"{where}: utterance {utt}: {line!r}, need RECORDING START END [CHANNEL]"
        )
    recording, start, end = columns[:3]
    channel = columns[3] if len(columns) == 4 else None
    to_the_end = end in ("-1", "-1.0")
    if not _SECONDS.fullmatch(start) or not (to_the_end or _SECONDS.fullmatch(end)):
        raise DataDirError(f"{where}: utterance {utt}: {start} to {end} are not times in seconds")
    if channel is not None and not channel.isdecimal():
        raise DataDirError(f"{where}: utterance {utt}: channel {channel!r}, need 0, 1, ...")
    if not to_the_end and float(end) <= float(start):
        raise DataDirError(
            f"{where}: utterance {utt}: ends at {end} s, before it begins at {start} s"
        )
    return recording, start, "-1" if to_the_end else end, channel


def cut(
    segments: Mapping[str, str] | Iterator[tuple[str, str]],
    recordings: Mapping[str, str],
    where: str,
) -> Iterator[tuple[str, str]]:
    """Yield (utterance, entry ``RECORDING[START:END]``), as ``read_audio`` understands it.

    Args:
        segments: utterance -> the rest of its line.
        recordings: recording -> its entry in ``wav.scp``.
        where: the segments file, for messages.

    Raises:
        DataDirError: as for ``parse``, or a recording is missing.
    """
    for utt, line in segments.items() if isinstance(segments, Mapping) else segments:
        recording, start, end, channel = parse(utt, line, where)
        if recording not in recordings:
            raise DataDirError(f"{where}: utterance {utt}: no recording {recording!r} in wav.scp")
        yield utt, segment_entry(recordings[recording], start, end, channel)


def overlapping(segments: Mapping[str, str], where: str) -> list[tuple[str, str]]:
    """Pairs of consecutive utterances in one channel of a recording that overlap in time.

    They may be two speakers who talk at once, or a mistake in the times.
    """
    times = []
    for utt, line in segments.items():
        recording, start, end, channel = parse(utt, line, where)
        stop = float("inf") if end == "-1" else float(end)
        times.append((recording, channel or "", float(start), stop, utt))
    times.sort()
    found = []
    for last, this in pairwise(times):
        if last[:2] == this[:2] and this[2] < last[3]:
            found.append((last[4], this[4]))
    return found
