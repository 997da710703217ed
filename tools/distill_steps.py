"""The distillation steps that the benchmarks time: a plain one with transformers, and ours.

HuBERT Base shape with random weights (95 M parameters) teaches a student of its convolutions and
first two layers (23.5 M), targets are layers 4, 8 and 12, the loss L1 + log-sigmoid cosine, the
optimizer AdamW.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import HubertConfig, HubertModel

from espnet_robust.distill.adversary import Adversary
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.config import AMP
from espnet_robust.distill.domains import AdversaryConfig
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.targets import Targets
from espnet_robust.models.audio_key import audio_key
from espnet_robust.models.speech_model import SpeechModel, build_speech_model
from espnet_robust.models.student import StudentConfig, build_student

RATE = 16000
LAYERS = (4, 8, 12)
# A hundredth of the size, to see that a benchmark runs.
TINY = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": [16] * 7}


@dataclass(frozen=True)
class Step:
    """One update of ``model`` on a batch of utterances (N,).

    Attributes:
        model: what is trained.
        teachers: frozen models that give the targets.
        optimizer: of ``model``.
        loss_of: the loss of a batch.
    """

    model: nn.Module
    teachers: Sequence[nn.Module]
    optimizer: torch.optim.Optimizer
    loss_of: Callable[[Sequence[Tensor]], Tensor]

    def __call__(self, wavs: Sequence[Tensor]) -> None:
        self.apply(self.loss_of(wavs))

    def apply(self, loss: Tensor) -> None:
        """Update the weights as ESPnet's trainer does."""
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def kept_bytes(self) -> int:
        """Bytes kept in memory between updates: weights and the optimizer's state."""
        tensors = {id(p): p for m in (self.model, *self.teachers) for p in m.parameters()}
        for state in self.optimizer.state.values():
            tensors |= {id(v): v for v in state.values() if isinstance(v, Tensor)}
        return sum(t.numel() * t.element_size() for t in tensors.values())


def make_hubert(tiny: bool = False) -> HubertModel:
    """HuBERT Base with random weights, in evaluation."""
    return HubertModel(HubertConfig(**TINY if tiny else {})).eval()


def make_teacher(hubert: HubertModel, device: str, compiled: bool = False) -> SpeechModel:
    """A frozen copy, like our teachers."""
    teacher = build_speech_model(copy.deepcopy(hubert), normalize=False)
    teacher = teacher.requires_grad_(False).eval().to(device)
    if compiled:
        teacher.encoder.compile()
    return teacher


class Plain(nn.Module):
    """The obvious implementation: the library's models and nothing else."""

    def __init__(self, teacher: HubertModel):
        super().__init__()
        self.teacher = [teacher.eval()]
        config = copy.deepcopy(teacher.config)
        config.num_hidden_layers = 2
        config.apply_spec_augment = False
        config.layerdrop = 0.0
        self.student = HubertModel(config)
        self.heads = nn.ModuleList(
            nn.Linear(config.hidden_size, config.hidden_size) for _ in LAYERS
        )

    def forward(self, wav: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(wav.shape[1], device=wav.device) < lengths[:, None]).long()
        with torch.no_grad():
            states = self.teacher[0](wav, attention_mask=mask, output_hidden_states=True)
        last = self.student(wav, attention_mask=mask, output_hidden_states=True).last_hidden_state
        frames = self.student._get_feat_extract_output_lengths(lengths)
        valid = torch.arange(last.shape[1], device=wav.device) < frames[:, None]
        loss = 0.0
        for head, layer in zip(self.heads, LAYERS, strict=True):
            s, t = head(last)[valid], states.hidden_states[layer][valid]
            loss = loss + F.l1_loss(s, t) - F.logsigmoid(F.cosine_similarity(s, t, -1)).mean()
        return loss / len(LAYERS)


def padded(wavs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(B, N) padded with zeros at the end, and (B,) numbers of samples."""
    lengths = torch.tensor([len(wav) for wav in wavs], device=wavs[0].device)
    return nn.utils.rnn.pad_sequence(list(wavs), batch_first=True), lengths


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)


def plain_step(hubert: HubertModel, device: str, amp: str = "none") -> Step:
    model = Plain(hubert.to(device)).to(device).train()
    kind = torch.device(device).type

    def loss_of(wavs: Sequence[Tensor]) -> Tensor:
        with torch.autocast(kind, AMP[amp], enabled=amp != "none"):
            return model(*padded(wavs))

    return Step(model, model.teacher, adamw(model), loss_of)


def make_student(teacher: SpeechModel, compiled: bool = False) -> SpeechModel:
    student = build_student(teacher, StudentConfig())
    student.encoder.masked_spec_embed.requires_grad_(False)
    if compiled:
        student.encoder.compile()
    return student


def our_step(
    teacher: SpeechModel,
    student: SpeechModel,
    device: str,
    amp: str = "none",
    cache: TargetCache | None = None,
    adversary: bool = False,
) -> Step:
    targets = Targets([teacher], LAYERS, cache=cache)
    against = None
    if adversary:
        against = Adversary(student.hidden_size, student.num_layers, 2, AdversaryConfig())
    losses = {"l1": 1.0, "cosine": 1.0}
    model = DistillModel(targets, student, losses, against, amp=AMP[amp]).to(device).train()

    def loss_of(wavs: Sequence[Tensor]) -> Tensor:
        wav, lengths = padded(wavs)
        domain = torch.arange(len(wav), device=wav.device)[:, None] % 2
        return model(wav, lengths, wav, lengths, domain)[0].squeeze()

    return Step(model, [] if cache else [teacher], adamw(model), loss_of)


def fill(cache: TargetCache, hubert: HubertModel, wavs: Sequence[Tensor]) -> None:
    """Fill the cache with numbers in the teacher's shape; their values do not affect the speed."""
    longest = torch.tensor(max(map(len, wavs)))
    most = int(hubert._get_feat_extract_output_lengths(longest))
    drawn = {str(layer): torch.randn(most, hubert.config.hidden_size) for layer in LAYERS}
    for wav in wavs:
        frames = int(hubert._get_feat_extract_output_lengths(torch.tensor(len(wav))))
        cache.put(audio_key(wav), {name: x[:frames] for name, x in drawn.items()})


def timed(step: Callable[[Sequence[Tensor]], None], wavs: Sequence[Tensor]) -> tuple[float, float]:
    """Seconds of wall-clock time and of this process's CPU time."""
    start, start_cpu = time.perf_counter(), time.process_time()
    step(wavs)
    if wavs[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - start_cpu


def count_flop(step: Step, wavs: Sequence[Tensor]) -> float:
    """Floating-point operations of an update, two for a multiplication and its addition.

    Those of matrix products, convolutions and attention; the others are few. A compiled step
    cannot be counted.
    """
    custom = {}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        custom[torch.ops.mkldnn._linear_pointwise] = _linear_flop
    with FlopCounterMode(display=False, custom_mapping=custom) as counter:
        step(wavs)
    return float(counter.get_total_flops())


def _linear_flop(x_shape, weight_shape, *args, out_shape=None, **kwargs) -> int:
    return 2 * math.prod(x_shape) * weight_shape[0]


def peak_flops(device: str, size: int = 8192, repeats: int = 10) -> float:
    """Operations a second in a bf16 product of two square matrices of random numbers."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    for _ in range(3):
        a @ b
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        a @ b
    wait()
    return 2.0 * size**3 * repeats / (time.perf_counter() - start)


def peak_memory(device: str, reset: bool = False) -> float:
    """MB since the last reset: of this process, or of the GPU's allocator."""
    if device != "cpu":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 1e6
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
