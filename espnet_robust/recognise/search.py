"""Turn encoder output into tokens: greedy CTC, or ESPnet's beam search.

A search takes (B, T, D) encoder output and (B,) frames, and returns the token ids of each row,
without blanks and sentence ends.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.espnet_versions import from_nets
from espnet_robust.recognise.job import check_beam

BatchBeamSearch = from_nets("BatchBeamSearch")
CTCPrefixScorer = from_nets("CTCPrefixScorer")

Search = Callable[[Tensor, Tensor], list[list[int]]]
METHODS = ("greedy", "beam")


def greedy(model: nn.Module) -> Search:
    """The best CTC path, frame by frame, with repetitions merged."""

    def search(encoded: Tensor, frames: Tensor) -> list[list[int]]:
        best = model.ctc.argmax(encoded)
        paths = (row[:n] for row, n in zip(best, frames.tolist(), strict=True))
        return [_without(torch.unique_consecutive(path), model.blank_id) for path in paths]

    return search


def beam(model: nn.Module, beam_size: int, ctc_weight: float) -> Search:
    """ESPnet's label-synchronous beam search, as in ``espnet2.bin.asr_inference`` without a
    language model: CTC prefix scores, combined with the attention decoder's if ``ctc_weight`` < 1
    (Watanabe et al., 2017, https://doi.org/10.1109/JSTSP.2017.2763455).

    Raises:
        ConfigError: ``beam_size`` < 1, ``ctc_weight`` outside [0, 1], or below 1 without a decoder.
    """
    check_beam(beam_size, ctc_weight)
    if ctc_weight < 1 and model.decoder is None:
        raise ConfigError(f"ctc_weight {ctc_weight}: the model has only CTC, no decoder; use 1")
    decoder = BatchBeamSearch(
        scorers={"ctc": CTCPrefixScorer(model.ctc, model.eos), "decoder": model.decoder},
        weights={"ctc": ctc_weight, "decoder": 1 - ctc_weight},
        # The first step has one hypothesis, which has no more continuations than there are tokens.
        beam_size=min(beam_size, len(model.token_list)),
        vocab_size=len(model.token_list),
        sos=model.sos,
        eos=model.eos,
        token_list=model.token_list,
        # CTC alone scores every token; with a decoder, only the tokens that the decoder prefers.
        pre_beam_score_key=None if ctc_weight == 1 else "full",
    )
    decoder.to(next(model.parameters()).device).eval()

    def search(encoded: Tensor, frames: Tensor) -> list[list[int]]:
        found = []
        for row, n in zip(encoded, frames.tolist(), strict=True):
            hypotheses = decoder(row[:n])
            best = hypotheses[0].yseq[1:-1] if hypotheses else row.new_zeros(0)  # sos, eos
            found.append(_without(best, model.blank_id))
        return found

    return search


def _without(tokens: Tensor, blank: int) -> list[int]:
    return [token for token in tokens.tolist() if token != blank]
