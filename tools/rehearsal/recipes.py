"""The recipes to rehearse, their options, and the results that must exist afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Two steps of few seconds of audio each, instead of 374 s.
STEPS = "--max_epoch 1 --num_iters_per_epoch 2 --batch_bins 64000"
NOISES = ("musan", "wham", "fsd50k", "dns")
# Conditions of the paper's noise source: conf/distortion/{indomain,outofdomain}.yaml and clean.
PAPER = 1 + 3 * 4 + 4 + 2 * 4 + 7
LIBRISPEECH = {"nbpe": "40"}  # the preset's 500 need more text than a small tree has


@dataclass(frozen=True)
class Rehearsal:
    """A run of a recipe.

    Args:
        recipe: CORPUS/TASK below egs.
        systems: some of those that the recipe compares.
        corpora: those whose directories it is given, as options of their names.
        conditions: number of rows that its table must have.
        task: asr or cls.
        options: others; {corpora} in them is the directory with all of the corpora.
        metric: of the table.
    """

    recipe: str
    systems: str
    corpora: tuple[str, ...]
    conditions: int = PAPER
    task: str = "asr"
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        return "wer" if self.task == "asr" else "accuracy"

    def command(self, corpora: str) -> list[str]:
        """Options of run.sh: two steps a training, no GPU, packed at the end; else the recipe's."""
        options = {name: f"{corpora}/{name}" for name in self.corpora}
        options |= {"systems": self.systems, "ngpu": "0", "stop_stage": "11"}
        options |= {"distill_args": STEPS, f"{self.task}_args": STEPS}
        options |= {k: value.format(corpora=corpora) for k, value in self.options.items()}
        return [word for name, value in options.items() for word in (f"--{name}", value)]


REHEARSALS = {
    "librispeech_100h": Rehearsal(
        "librispeech/asr1", "teacher distilhubert cdm2_dat", ("librispeech", *NOISES),
        options=LIBRISPEECH,
    ),
    "librispeech_960h": Rehearsal(
        "librispeech/asr1", "cdm1", ("librispeech", *NOISES),
        options={"preset": "960h", **LIBRISPEECH},
    ),
    "an4": Rehearsal(
        "an4/asr1", "teacher robust_plus", ("an4", *NOISES),
        options={"teacher": "microsoft/wavlm-base-plus"},
    ),
    "chime4": Rehearsal("chime4/asr1", "teacher cdm2_dat", ("chime4", "musan", "wham"), 8),
    "fluent_speech_commands": Rehearsal(
        "fluent_speech_commands/ic1", "logmel cdm1", ("fluent_speech_commands", *NOISES),
        task="cls",
    ),
    "iemocap": Rehearsal(
        "iemocap/er1", "cdm2", ("iemocap", *NOISES), task="cls", options={"folds": "1 5"}
    ),
    # As its README has it for a teacher from the hub.
    "speech_commands": Rehearsal(
        "speech_commands/ks1", "teacher cdm2_dat", ("speech_commands",), 16, "cls",
        {
            "teacher": "facebook/hubert-base-ls960", "distill_config": "none",
            "train_distortion": "../../../conf/distortion/train.yaml", "budget": "paper",
            "noise": "{corpora}/esc10/noise", "rir": "{corpora}/esc10/rir",
        },
    ),
}  # fmt: skip
