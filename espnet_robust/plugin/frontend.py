"""A distilled student, or the teacher it came from, as an ESPnet frontend.

The names come from the usual case: ``robust_student`` and its key ``student`` can also hold a
teacher, which transformers loads (``hf``). Layers, freezing and training are the same for both.

frontend: robust_student
frontend_conf:
    student: {path: exp/student}    # or {hf: HUB_ID_OR_DIR} for a transformers teacher
    layers: weighted_sum            # or last, a layer number, or a list of them
    freeze: true

Fine-tuning: ``freeze: false``; optionally ``freeze_steps: 2000`` (frozen at first) and, with
``optim: scaled_adamw``, ``lr_scale: 0.1`` (a tenth of the rest's learning rate).
"""

import sys
from typing import Any

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import Tensor, nn

from espnet_robust.common.errors import AudioError, ConfigError, ModelError
from espnet_robust.models.audio_key import audio_key
from espnet_robust.models.frontend_keys import read_familiar
from espnet_robust.models.layers import select_layers
from espnet_robust.models.long_audio import in_windows
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import (
    describe,
    from_description,
    load_student,
    load_weights,
)
from espnet_robust.plugin.adapters import adapters, eval_but, unmerge
from espnet_robust.plugin.frontend_conf import (
    check_rate,
    check_source,
    check_training,
    check_window,
)
from espnet_robust.plugin.optim import check_lr_scale, set_lr_scale
from espnet_robust.plugin.states_cache import StatesCache, precision


class RobustFrontend(AbsFrontend):
    """Hidden states of a speech model as features.

    Args:
        fs: sampling rate, in Hz or as ESPnet writes it ("16k").
        student: the speech model: ``{path: student directory}``, or ``{hf: hub id or directory}``
            for any teacher that transformers loads. The architecture is added to this mapping as
            ``arch``, so that ESPnet dumps it and a trained model loads without the directory.
        layers: ``weighted_sum`` (over all layers, with trained softmax weights), ``last``, a number
            (0: the input of the first layer; -1: the last) or a list of numbers, summed likewise.
        freeze: no gradients, and always in eval mode, even when ``train()`` is called on the whole
            model; only ESPnet's adapters train, if there are any.
        freeze_steps: freeze for this many training batches, then fine-tune.
        lr_scale: learning rate of the speech model, relative to that of the other parameters;
            needs ``optim: scaled_adamw``.
        cache_gb: cache up to this many GB of a frozen model's output in memory, keyed by the
            samples, so that epochs after the first skip the model if the audio does not change.
        max_seconds: longer utterances are processed in overlapping windows of this length
            (``models/long_audio.py``); the features differ by some per cent from those of one pass
            (conf/asr/RESULTS.md). 0: always one pass.
        others: keys of ESPnet's other frontends, see ``models/frontend_keys.py``.

    Raises:
        ConfigError: keys are unknown or contradict each other.
    """

    def __init__(
        self,
        fs: int | str = 16000,
        student: dict[str, Any] | None = None,
        layers: str | int | list[int] = "weighted_sum",
        freeze: bool = True,
        freeze_steps: int = 0,
        lr_scale: float = 1.0,
        cache_gb: float = 0.0,
        max_seconds: float = 60.0,
        **others: Any,
    ):
        super().__init__()
        layers = read_familiar(others, layers)
        check_source(student)
        check_training(freeze, freeze_steps, lr_scale, cache_gb)
        check_window(max_seconds)
        self._source = student
        self.loaded = False  # whether the weights are there; a checkpoint may bring others
        self.speech_model = self._build(student)
        check_rate(fs, self.speech_model.rate)
        self.layers = select_layers(layers, self.speech_model.num_layers)
        self.layer_weights = nn.Parameter(
            torch.zeros(len(self.layers)), requires_grad=len(self.layers) > 1
        )
        self.freeze = freeze
        if freeze:
            self.speech_model.requires_grad_(False).eval()
        self.freeze_steps = freeze_steps
        if freeze_steps:
            # Part of the checkpoint, so that resuming continues the count. A float, because ESPnet
            # averages floats over models but sums integers.
            self.register_buffer("steps", torch.zeros(()))
        self.keeps_count = False  # whether to ignore the count in what is loaded
        if lr_scale != 1:
            set_lr_scale(self.speech_model, lr_scale)
        self._cache = StatesCache(int(cache_gb * 1e9))
        self.max_samples = round(max_seconds * self.speech_model.rate) or sys.maxsize

    def _build(self, student: dict[str, Any]) -> SpeechModel:
        if "arch" in student:
            # A dumped configuration: the weights come with the checkpoint; failing that, they are
            # loaded from their original source when features are first computed.
            model = from_description(student["arch"], "frontend_conf: student: arch")
        else:
            model = _read(student)
            student["arch"] = describe(model)
            self.loaded = True
        return model.requires_grad_(True)

    def reload_pretrained_parameters(self) -> None:
        """Called by ESPnet after ``init: xavier_uniform`` has overwritten every weight.

        ESPnet does so at inference too, where the checkpoint is loaded afterwards and the student
        directory may be missing.
        """
        if self.loaded:
            self._load_pretrained()
        nn.init.zeros_(self.layer_weights)

    def _load_pretrained(self) -> None:
        where = str(self._source.get("path", self._source.get("hf")))
        model = _read(self._source)
        # Other weights of the same shapes would load, and be used with the old input format.
        if describe(model) != describe(self.speech_model):
            raise ModelError(
                f"frontend_conf: student: arch: not that of {where}; remove `arch` from `student`"
            )
        load_weights(self.speech_model, model.state_dict(), where)
        self.loaded = True

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # ESPnet loads trained models with strict=False, so a checkpoint of another model would
        # silently leave this frontend untouched.
        if self.keeps_count:
            state_dict.pop(prefix + "steps", None)
            if self.freeze_steps:
                state_dict[prefix + "steps"] = self.steps
        want = {prefix + key for key in self.state_dict()}
        have = {key for key in state_dict if key.startswith(prefix)}
        if self.freeze and have < want:
            state_dict |= self._left_out(want - have, prefix)
            have = want
        if differing := sorted(want ^ have):
            raise ModelError(
                f"the checkpoint does not fit frontend robust_student: {len(differing)} keys "
                f"differ, first {differing[0]}; does it have another student or frontend_conf?"
            )
        self.loaded = True
        self._cache.clear()
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if self.freeze_steps and self.steps.dtype != torch.float32:
            # Half precision cannot count beyond 2048. Converted once, before any step.
            self.steps = self.steps.float()
        return self

    def _left_out(self, keys: set[str], prefix: str) -> dict[str, Tensor]:
        """The weights that ESPnet's ``save_strategy: required_grad_only`` left out, reloaded.

        Raises:
            ModelError: trained weights are missing too, or the original source is gone.
        """
        remedy = "train adapters with `save_strategy: all`"
        try:
            theirs = _read(self._source).state_dict()
        except (ModelError, ConfigError) as e:
            raise ModelError(f"the checkpoint lacks the frozen model, and {e}; {remedy}") from e
        start = prefix + "speech_model."
        if trained := sorted(key for key in keys if key.removeprefix(start) not in theirs):
            raise ModelError(f"the checkpoint lacks {trained[0]}, which was trained; {remedy}")
        unmerge(self.speech_model)
        return {key: theirs[key.removeprefix(start)] for key in keys}

    def train(self, mode: bool = True) -> "RobustFrontend":
        super().train(mode)
        if self.frozen:
            self.speech_model.eval()
        elif self.freeze:
            eval_but(self.speech_model, adapters(self.speech_model))
        return self

    def cache_nothing(self) -> None:
        """From now on ignore ``cache_gb``."""
        self._cache = StatesCache(0)

    @property
    def frozen(self) -> bool:
        """Whether the speech model is frozen at this step."""
        if self.freeze:
            return not adapters(self.speech_model)
        return self.freeze_steps > 0 and float(self.steps) < self.freeze_steps

    def _count(self) -> None:
        """Count one training batch."""
        if self.freeze_steps and self.training and torch.is_grad_enabled():
            self.steps += 1
            self.train()

    def output_size(self) -> int:
        """D."""
        return self.speech_model.hidden_size

    def forward(self, input: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples, (B,) lengths -> (B, T, D) features, (B,) frames. Zeros in the padding.

        Raises:
            AudioError: several channels.
            ModelError: an utterance is shorter than one frame, or the weights cannot be loaded.
            ConfigError: the optimizer ignores ``lr_scale``, or ``cache_gb`` is used with adapters.
        """
        if input.dim() != 2:
            raise AudioError(
                f"frontend robust_student: need mono audio (B, N), got {tuple(input.shape)}; "
                "fix: sox IN OUT remix 1"
            )
        if not self.loaded:
            self._load_pretrained()
        if int(input_lengths.min()) < self.speech_model.min_samples:
            raise ModelError(
                f"an utterance of {int(input_lengths.min())} samples is shorter than one frame of "
                f"{self.speech_model.min_samples}; remove it from the data dir"
            )
        if self.training and torch.is_grad_enabled():
            check_lr_scale(self.speech_model)
        if self._cache.limit and not self.frozen:
            raise ConfigError("frontend_conf: cache_gb: an adapter changes the features; use 0")
        if int(input_lengths.max()) > self.max_samples:
            features, lengths = self._in_windows(input, input_lengths)
        else:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                states, lengths = (self._frozen_states if self.frozen else self._states)(
                    input, input_lengths
                )
            features = self._weighted(states)
        self._count()
        valid = frame_mask(features, lengths)
        return features.masked_fill(~valid[..., None], 0.0), lengths

    def _weighted(self, states: Tensor) -> Tensor:
        """(layers, B, T, D) -> (B, T, D)."""
        weights = self.layer_weights.softmax(0).to(states.dtype)
        return torch.einsum("l,lbtd->btd", weights, states)

    def _in_windows(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One utterance at a time, not cached; layers are summed before windows are joined."""
        rows = []
        for row, length in zip(wav, lengths.tolist(), strict=True):
            parts = []
            windows = in_windows(self.speech_model, row[:length], self.max_samples)
            while True:
                with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                    if (states := next(windows, None)) is None:
                        break
                parts.append(self._weighted(torch.stack([states[i] for i in self.layers]))[0])
            rows.append(torch.cat(parts))
        features = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return features, self.speech_model.num_frames(lengths)

    def _states(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.speech_model(wav, lengths)
        return torch.stack([hidden.states[layer] for layer in self.layers]), hidden.lengths

    def _frozen_states(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if not self._cache.limit:
            return self._states(wav, lengths)
        computed_in = precision(self.speech_model, wav.device.type)
        rows = zip(wav, lengths.tolist(), strict=True)
        keys = [audio_key(row[:n]) + computed_in for row, n in rows]
        found = {i: self._cache[key] for i, key in enumerate(keys) if key in self._cache}
        frames = self.speech_model.num_frames(lengths)
        if missing := [i for i in range(len(keys)) if i not in found]:
            states, _ = self._states(wav[missing], lengths[missing])
            for i, state in zip(missing, states.unbind(1), strict=True):
                found[i] = state[:, : frames[i]]
                self._cache.add(keys[i], found[i])
        shape = (len(self.layers), len(wav), int(frames.max()), self.output_size())
        out = found[0].new_zeros(shape, device=wav.device)
        for i, state in found.items():
            out[:, i, : frames[i]] = state.to(wav.device)
        return out, frames


def _read(student: dict[str, Any]) -> SpeechModel:
    return load_student(student["path"]) if "path" in student else load_teacher(student["hf"])
