"""Two views of one crop of an utterance: what the teacher hears and what the student hears.

Cross-distortion mapping (Huang et al., SLT 2022, arXiv:2210.07978):

    mapping   teacher   student
    none      x         x
    setup1    x         d(x)
    setup2    d'(x)     d(x)      d and d' drawn independently
    same      d(x)      d(x)      the same draw

Optionally there is also x itself, for losses that need it, and spans of frames to mask in the
student's input (ARMHuBERT, arXiv:2305.11685; drawn as in wav2vec 2.0, arXiv:2006.11477).
"""

from collections.abc import Collection, Mapping

import numpy as np

from espnet_robust.common.errors import AudioError
from espnet_robust.data.turns import side_of
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distortion import Distorter, rng_for
from espnet_robust.models.frames import Frames
from espnet_robust.models.spans import counted_spans

MAPPINGS = ("none", "setup1", "setup2", "same")
CLEAN = "clean_speech"  # the crop before any distortion
EXTRA_VIEWS = (CLEAN,)
FRAMES = "the frames of teacher and student"  # what a change of length would pull apart


class Views:
    """ESPnet preprocessor: adds the student's view and its domain to each utterance.

    Draws are keyed by (seed, utterance id, epoch, side) and, if an utterance comes several times in
    an epoch, by its turn. Validation always draws as in epoch 0, so
    that differences in its loss come from the epochs and not the draws, and masks nothing.

    Args:
        mapping: one of MAPPINGS.
        distorter: the distortion chain; None with mapping ``none``.
        labels: {domain name: class}.
        seed: seed of the run.
        crop: samples; longer utterances are cropped at random to this length.
        frames: those of teacher and student; an utterance shorter than one frame is an error.
        train: whether ``start_epoch`` has an effect and frames are masked.
        fixed_crops: crop an utterance at the same place in all epochs, so that its targets can be
            cached.
        extra: views from EXTRA_VIEWS to add, for losses that need more than the two.
        mask_prob: share of the student's frames that masked spans would cover if none overlapped;
            a value above 0 adds ``student_mask``.
        mask_length: frames per span.

    Raises:
        ConfigError: the views of an utterance would have different lengths.
    """

    def __init__(
        self,
        mapping: str,
        distorter: Distorter | None,
        labels: Mapping[str, int],
        seed: int,
        crop: int,
        frames: Frames,
        train: bool,
        fixed_crops: bool = False,
        extra: Collection[str] = (),
        mask_prob: float = 0.0,
        mask_length: int = 10,
    ):
        self.mapping = mapping
        self.distorter = distorter
        self.labels = dict(labels)
        self.seed = seed
        self.crop = crop
        self.frames = frames
        self.train = train
        self.fixed_crops = fixed_crops
        self.extra = frozenset(extra)
        self.mask_prob = mask_prob
        self.mask_length = mask_length
        self.epoch = 0
        self.share = 0.0
        self.turn = 0  # of the utterance in this epoch; data/turns.py
        if distorter:
            distorter.check_on_the_fly()
        if mapping != "none" and (mapping != "same" or CLEAN in self.extra):
            distorter.check_keeps_length(FRAMES)

    def start_epoch(self, schedule: Schedule) -> None:
        """Called before an epoch's workers start."""
        if self.train:
            self.epoch, self.share = schedule.epoch, schedule.share

    def __call__(self, uid: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The views of {"speech": (N,)}.

        Returns:
            speech (N,), the teacher's view; student_speech (N,); domain (1,) int64; optionally
            clean_speech (N,) and student_mask (T,) int64, 1 on frames to mask.
        """
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
        views = {
            "speech": teacher,
            "student_speech": student,
            "domain": np.array([self.labels[domain]], dtype=np.int64),
        }
        if CLEAN in self.extra:
            views[CLEAN] = x
        if self.train and self.mask_prob > 0:
            rng = rng_for(self.seed, uid, self.epoch, side_of("mask", self.turn))
            frames = self.frames.count(len(student))
            views["student_mask"] = counted_spans(rng, frames, self.mask_prob, self.mask_length)
        return views

    def _check(self, uid: str, speech: np.ndarray) -> np.ndarray:
        if speech.ndim != 1:
            raise AudioError(f"{uid}: {speech.shape[1]} channels; make it mono")
        need = self.frames.min_samples
        if len(speech) < need:
            raise AudioError(
                f"{uid}: {len(speech)} samples, less than one frame ({need}); "
                "remove it from the data dir"
            )
        if not np.isfinite(speech).all():
            raise AudioError(f"{uid}: NaN or infinite samples; remove it from the data dir")
        return speech.astype(np.float32, copy=False)

    def _crop(self, uid: str, speech: np.ndarray) -> np.ndarray:
        spare = len(speech) - self.crop
        if spare <= 0:
            return speech
        epoch, turn = (0, 0) if self.fixed_crops else (self.epoch, self.turn)
        rng = rng_for(self.seed, uid, epoch, side_of("crop", turn))
        start = int(rng.integers(spare + 1))
        return speech[start : start + self.crop]

    def _distort(self, uid: str, x: np.ndarray, side: str) -> tuple[np.ndarray, dict]:
        return self.distorter(
            x, uid, seed=self.seed, epoch=self.epoch, side=side_of(side, self.turn),
            progress=self.share,
        )  # fmt: skip
