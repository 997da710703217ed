"""Run an exported stream: blocks of samples in, log probabilities out as chunks complete."""

from collections.abc import Iterable, Iterator

import numpy as np

from espnet_robust.device.runtime import Runtime

NEXT = "next_"  # before the name of a state, in the outputs


class Stream:
    """One utterance, however long; memory does not grow.

        stream = Stream(model)
        for block in blocks:  # (samples,) float32
            for log_probs in stream.feed(block):  # (T, V)
                ...
        rest = stream.finish()

    The outputs together equal those of one pass, however the samples are cut.
    """

    def __init__(self, model: Runtime):
        self.model, chunk = model, model.metadata.chunk
        self.states = {
            name: np.zeros(shape, kind) for name, (kind, shape) in model.metadata.states.items()
        }
        self.need, self.shift = chunk["samples"], chunk["shift"]
        self.frames, self.subsample = chunk["frames"], chunk["subsample"]
        self.held = np.zeros(0, np.float32)  # samples from the next chunk's first on

    def feed(self, samples: np.ndarray) -> list[np.ndarray]:
        """(samples,) -> log probabilities (T, V) of each chunk that they complete."""
        return [self.run(inputs) for inputs in self.cut(samples)]

    def finish(self) -> list[np.ndarray]:
        """Log probabilities of the last chunk, as a list of one; [] if it has no frame."""
        return [self.run(inputs) for inputs in self.rest()]

    def cut(self, samples: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The graph's inputs for each complete chunk; ``run`` them before the next is taken."""
        self.held = np.concatenate([self.held, samples])
        while len(self.held) >= self.need:
            inputs, self.held = self.held[: self.need], self.held[self.shift :]
            yield self._inputs(inputs, self.frames)

    def rest(self) -> Iterator[dict[str, np.ndarray]]:
        """The graph's inputs for the last chunk, if there is one."""
        metadata = self.model.metadata
        hop = metadata.hop // self.subsample
        frames = (len(self.held) - metadata.min_samples) // hop + 1
        if len(self.held) >= metadata.min_samples:
            yield self._inputs(np.pad(self.held, (0, self.need - len(self.held))), frames)
            self.held = self.held[:0]

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Log probabilities (T, V) of one chunk; keeps the states for the next one."""
        log_probs, *states = self.model.session.run(["log_probs", *map(_next, self.states)], inputs)
        self.states = dict(zip(self.states, states, strict=True))
        return log_probs[0, : -(-int(inputs["frames"]) // self.subsample)]

    def _inputs(self, samples: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        return {"samples": samples[None], "frames": np.array(frames), **self.states}


def _next(name: str) -> str:
    return NEXT + name


def stream_log_probs(model: Runtime, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of samples -> log probabilities (T_i, V) of each chunk, as soon as it is complete."""
    stream = Stream(model)
    for block in blocks:
        yield from stream.feed(block)
    yield from stream.finish()
