"""Hidden states of long utterances, window by window.

The cost of attention grows with the square of the length: 10 minutes at once take 70 times as long
as one. Windows make it grow with the length, and bound the memory. Each window hears ``CONTEXT_S``
more on either side than it is asked for; the loudness of an utterance is taken over all of it. What
differs from one pass is that attention, and a norm over time, see a window and not all.
"""

from collections.abc import Iterator

from torch import Tensor

from espnet_robust.models.speech_model import SpeechModel, normalize_waveform

CONTEXT_S = 4.0  # on either side of a window


def in_windows(model: SpeechModel, wav: Tensor, max_samples: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield the hidden states of consecutive parts of one utterance.

    Frames stand where they stand in one pass: windows begin at multiples of the hop.

    Args:
        wav: (N,) samples, at least ``min_samples``.
        max_samples: of a window, its context included; more than twice ``CONTEXT_S``.

    Yields:
        (1, T_i, D) of every layer; the T_i add up to ``model.num_frames(N)``.
    """
    if model.normalize:
        wav = normalize_waveform(wav[None], wav.new_full((1,), len(wav)).long())[0]
    total = int(model.num_frames(len(wav)))
    context = round(CONTEXT_S * model.rate / model.hop)
    length = int(model.num_frames(max_samples))
    assert length > 2 * context, (max_samples, CONTEXT_S)
    done = 0  # frames yielded
    while done < total:
        first = max(0, done - context)
        last = min(total, first + length)
        # The last window is as long as the others: it begins earlier.
        first = max(0, last - length)
        samples = wav[first * model.hop : (last - 1) * model.hop + model.min_samples]
        until = last if last == total else last - context
        yield tuple(state[:, done - first : until - first] for state in model.encode(samples[None]))
        done = until
