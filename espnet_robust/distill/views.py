"""Two views of one crop of an utterance: what the teacher hears and what the student hears.

Cross-distortion mapping (Huang et al., SLT 2022, arXiv:2210.07978):

    mapping   teacher   student
    none      x         x
    setup1    x         d(x)
    setup2    d'(x)     d(x)      d and d' drawn independently
    same      d(x)      d(x)      one draw
"""

from collections.abc import Mapping

import numpy as np

from espnet_robust.distortion import Distorter, rng_for
from espnet_robust.errors import AudioError

MAPPINGS = ("none", "setup1", "setup2", "same")


class Views:
    """ESPnet preprocessor: adds the student's view and its domain to each utterance.

    Draws are keyed by (seed, utterance id, epoch, side). Validation uses epoch 0 throughout, so
    that its loss compares epochs and not draws.

    Args:
        mapping: one of MAPPINGS.
        distorter: the distortion chain; None with mapping ``none``.
        labels: {domain name: class}.
        seed: seed of the run.
        crop: samples; longer utterances are cropped at random to this length.
        min_samples: what one frame needs; a shorter utterance is an error.
        train: whether ``set_epoch`` has an effect.
    """

    def __init__(
        self,
        mapping: str,
        distorter: Distorter | None,
        labels: Mapping[str, int],
        seed: int,
        crop: int,
        min_samples: int,
        train: bool,
    ):
        self.mapping = mapping
        self.distorter = distorter
        self.labels = dict(labels)
        self.seed = seed
        self.crop = crop
        self.min_samples = min_samples
        self.train = train
        self.epoch = 0
        self.progress = 0.0

    def set_epoch(self, epoch: int, progress: float) -> None:
        """Called before an epoch's workers start. ``progress``: share of training done, [0, 1]."""
        if self.train:
            self.epoch, self.progress = epoch, progress

    def __call__(self, uid: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """{"speech": (N,)} -> speech (teacher's view), student_speech, domain (1,) int64."""
        x = self._crop(uid, self._check(uid, data["speech"]))
        teacher = student = x
        domain = "clean"
        if self.mapping != "none":
            student, record = self._distort(uid, x, "student")
            domain = record["domain"]
        if self.mapping == "setup2":
            teacher, _ = self._distort(uid, x, "teacher")
        elif self.mapping == "same":
            teacher = student
        return {
            "speech": teacher,
            "student_speech": student,
            "domain": np.array([self.labels[domain]], dtype=np.int64),
        }

    def _check(self, uid: str, speech: np.ndarray) -> np.ndarray:
        if speech.ndim != 1:
            raise AudioError(f"{uid}: {speech.shape[1]} channels; make it mono")
        if len(speech) < self.min_samples:
            raise AudioError(
                f"{uid}: {len(speech)} samples are less than one frame ({self.min_samples}); "
                "remove it from the data dir"
            )
        if not np.isfinite(speech).all():
            raise AudioError(f"{uid}: NaN or infinite samples; remove it from the data dir")
        return speech.astype(np.float32, copy=False)

    def _crop(self, uid: str, speech: np.ndarray) -> np.ndarray:
        spare = len(speech) - self.crop
        if spare <= 0:
            return speech
        start = int(rng_for(self.seed, uid, self.epoch, "crop").integers(spare + 1))
        return speech[start : start + self.crop]

    def _distort(self, uid: str, x: np.ndarray, side: str) -> tuple[np.ndarray, dict]:
        return self.distorter(
            x, uid, seed=self.seed, epoch=self.epoch, side=side, progress=self.progress
        )
