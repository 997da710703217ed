"""Hidden states of long utterances, computed in windows.

The cost of attention grows with the square of the length: 10 minutes in one pass take 70 times as
long as one minute. With windows, cost is linear and memory bounded. Each window is extended by
``CONTEXT_S`` on either side. The utterance's level is still normalised as a whole; only attention
and a norm over time see less than in one pass.
"""

from collections.abc import Iterator

from torch import Tensor

from espnet_robust.models.speech_model import SpeechModel, normalize_waveform

CONTEXT_S = 4.0  # on either side of a window


def in_windows(model: SpeechModel, wav: Tensor, max_samples: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield the hidden states of consecutive parts of one utterance.

    Windows begin at multiples of the hop, so frames have the same positions as in one pass.

    Args:
        wav: (N,) samples, at least ``min_samples``.
        max_samples: length of a window with its context; more than twice ``CONTEXT_S``. The last
            one also has the samples after its last frame, less than a hop.

    Yields:
        (1, T_i, D) for every layer; the T_i add up to ``model.num_frames(N)``.
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
        # The last window is as long as the others, so it begins earlier.
        first = max(0, last - length)
        # A frame of a filter bank hears more than ``min_samples``, as far as there are samples.
        end = None if last == total else (last - 1) * model.hop + model.min_samples
        samples = wav[first * model.hop : end]
        until = last if last == total else last - context
        yield tuple(state[:, done - first : until - first] for state in model.encode(samples[None]))
        done = until
