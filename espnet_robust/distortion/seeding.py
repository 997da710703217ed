"""The only source of randomness in the distortion engine.

A draw depends on (seed, utterance id, epoch, side) and on nothing else: not on the worker, the
rank, the order of utterances, the number of processes or the point at which a run was resumed.
"""

import hashlib

import numpy as np


def rng_for(seed: int, utt_id: str, epoch: int = 0, side: str = "student") -> np.random.Generator:
    """The random generator for one utterance's draws.

    Args:
        seed: the experiment's, >= 0.
        utt_id: hashed by BLAKE2, which is the same in every process (``hash(str)`` is not).
        epoch: >= 0; copies on disk and validation keep it at 0.
        side: who hears the result, such as "student" or "teacher"; sides draw independently.
    """
    key = hashlib.blake2b(f"{side}\0{utt_id}".encode(), digest_size=16).digest()
    words = np.frombuffer(key, "<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, epoch, *words]))


def draw_seed(rng: np.random.Generator) -> int:
    """A seed to store in a record, for noise that is generated in ``apply``."""
    return int(rng.integers(2**63))


def generator(seed: int) -> np.random.Generator:
    """The random generator for a seed from ``draw_seed``."""
    return np.random.default_rng(seed)
