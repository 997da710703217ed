"""Greedy CTC with times: the best token of each frame, repetitions merged, blanks dropped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from espnet_robust.device.metadata import BOUNDARY, text_of

BLANK = 0


@dataclass(frozen=True)
class Token:
    """A token and its frames, ``first`` to ``last``, both included."""

    id: int
    first: int
    last: int


@dataclass(frozen=True)
class Word:
    """A word and its times in seconds, from its first token's first frame to the end of its last
    token's last frame. CTC emits a token once it is certain, mostly late in a word.
    """

    word: str
    start: float
    end: float


def best_path(frames: Iterable[np.ndarray], pause: int = 0) -> Iterator[Token]:
    """Consecutive blocks of log probabilities (T_i, V) -> tokens.

    A token that continues in the next block is one token. If ``pause`` is given, a blank is yielded
    as well, when it has lasted for that many frames.
    """
    now, first, position = BLANK, 0, 0
    for block in frames:
        for token in block.argmax(-1).tolist():
            if token != now:
                if now != BLANK:
                    yield Token(now, first, position - 1)
                now, first = token, position
            position += 1
            if now == BLANK and position - first == pause:
                yield Token(BLANK, first, position - 1)
    if now != BLANK:
        yield Token(now, first, position - 1)


def words(tokens: Iterable[Token], pieces: list[str], frame_seconds: float) -> Iterator[Word]:
    """Tokens -> words; each is yielded as soon as the next one begins, or at a blank."""
    for text, held in by_word(tokens, pieces):
        start, end = held[0].first * frame_seconds, (held[-1].last + 1) * frame_seconds
        yield Word(text, round(start, 3), round(end, 3))


def by_word(tokens: Iterable[Token], pieces: list[str]) -> Iterator[tuple[str, list[Token]]]:
    """Tokens -> each word and its tokens, as ``words`` yields them."""
    held: list[Token] = []
    for token in tokens:
        if held and (token.id == BLANK or pieces[token.id].startswith(BOUNDARY)):
            yield from _spoken(held, pieces)
            held = []
        if token.id != BLANK:
            held.append(token)
    yield from _spoken(held, pieces)


def _spoken(tokens: list[Token], pieces: list[str]) -> Iterator[tuple[str, list[Token]]]:
    if text := text_of([pieces[token.id] for token in tokens]):
        yield text, tokens
