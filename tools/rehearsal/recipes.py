"""The recipes to rehearse, their options, and the tables that they must leave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Two steps of at most 4 s of audio each, instead of 374 s.
STEPS = "--max_epoch 1 --num_iters_per_epoch 2 --batch_bins 64000"
NOISES = ("musan", "wham", "fsd50k", "dns")
# Conditions of the noise source `paper`: conf/distortion/{indomain,outofdomain}.yaml, and clean.
PAPER = 1 + 3 * 4 + 4 + 2 * 4 + 7
LIBRISPEECH = {"nbpe": "40"}  # the preset has 500, which need more text than a small tree has


@dataclass(frozen=True)
class Rehearsal:
    """A run of a recipe.

    Args:
        recipe: CORPUS/TASK below egs.
        systems: those to train.
        corpora: each is given to the recipe as --CORPUS DIRECTORY.
        conditions: number of conditions that its table must have.
        task: asr or cls.
        options: further options; {corpora} in them is the directory of all corpora.
    """

    recipe: str
    systems: str
    corpora: tuple[str, ...]
    conditions: int = PAPER
    task: str = "asr"
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The figure in its table, and the name of the table's file."""
        return "wer" if self.task == "asr" else "accuracy"

    def command(self, corpora: str) -> list[str]:
        """The options of run.sh: two steps per training, no GPU, all stages up to packing."""
        options = {name: f"{corpora}/{name}" for name in self.corpora}
        options |= {"systems": self.systems, "ngpu": "0", "stop_stage": "11"}
        options |= {"check_disk": "false"}  # estimated for full size, which nothing here has
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
    # The options that its README gives for a teacher from the hub.
    "speech_commands": Rehearsal(
        "speech_commands/ks1", "teacher cdm2_dat", ("speech_commands",), 16, "cls",
        {
            "teacher": "facebook/hubert-base-ls960", "distill_config": "none",
            "train_distortion": "../../../conf/distortion/train.yaml", "budget": "paper",
            "noise": "{corpora}/esc10/noise", "rir": "{corpora}/esc10/rir",
        },
    ),
}  # fmt: skip
