"""ESPnet3's ASR system with one more stage, ``score``, which writes our scores.json.

    python run.py --stages train infer measure score pack_model --training_config ... \\
        --inference_config ... --metrics_config ... --publication_config ...

``test: ${conditions:DIR}`` in an inference config stands for a test set with all its conditions.
"""

from pathlib import Path
from typing import Any

from espnet3.contract.stages import StageSpec
from espnet3.systems.esp2_asr.system import ASRSystem
from espnet3.systems.launch import launch
from omegaconf import ListConfig, OmegaConf

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.common.cli import run
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.data.conditions import condition_dirs, read_condition
from espnet_robust.plugin.registration import register
from espnet_robust.score.counts_file import write_counts
from espnet_robust.score.decoded import Scoring, score_decoded
from espnet_robust.score.schema import write_scores

DATA_SRC = "espnet_robust.espnet3.data_dir"
SCORE = StageSpec(name="score", config=("inference", "metrics"), log_dir="inference_dir")


def conditions(test_set: str) -> ListConfig:
    """A test set and its distorted copies as entries of ``dataset.test``."""
    return OmegaConf.create(
        [
            {
                "name": read_condition(path).name,
                "data_src": DATA_SRC,
                "data_src_args": {"data_dir": str(path), "utt_id": True},
            }
            for path in condition_dirs(test_set)
        ]
    )


class RobustASRSystem(ASRSystem):
    """The stages of ESPnet3's ASR system, with ``score`` after ``measure``."""

    stages = tuple(
        spec
        for known in ASRSystem.stages
        for spec in ((known, SCORE) if known.name == "measure" else (known,))
    )

    def _has_tokenizer(self) -> bool:
        """Our recipes make the tokens beforehand; with ``tokenizer:``, ESPnet3 makes its own."""
        return self.training_config.get("tokenizer") is None or super()._has_tokenizer()

    def score(self, *args: Any, **kwargs: Any) -> None:
        """Write ``inference_dir/scores.json`` and ``counts.tsv`` from the output of ``infer``.

        Raises:
            ConfigError: the metrics config has no ``scores: {system, seed}``.
        """
        self._reject_stage_args("score", args, kwargs)
        named = self.metrics_config.get("scores") or {}
        if missing := {"system", "seed"} - named.keys():
            raise ConfigError(f"metrics_config: scores: no {', '.join(sorted(missing))}")
        directory = Path(self.inference_config.inference_dir)
        data_dirs = []
        for entry in self.inference_config.dataset.test:
            _as_table(directory / entry.name / "text.scp", directory / entry.name / "text")
            data_dirs.append(Path(entry.data_src_args.data_dir))
        scoring = Scoring(named["system"], named["seed"])
        scores, counts = score_decoded(data_dirs, directory, scoring)
        write_counts(directory / "counts.tsv", counts)
        write_scores(directory / "scores.json", scores)


def _as_table(scp: Path, table: Path) -> None:
    """Copy ESPnet3's ``text.scp`` to the name that it has in a data dir."""
    if not scp.is_file():
        raise UserError(f"{scp}: not found; run stage infer first")
    lines = (line.rstrip() for line in scp.read_text(encoding="utf-8").splitlines())
    table.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> None:
    """ESPnet3's command line, with a one-line message for every UserError."""
    register()
    OmegaConf.register_new_resolver("conditions", conditions, replace=True)
    try:
        launch(RobustASRSystem, conf_package="egs3.TEMPLATE.esp2_asr")
    except Exception as e:
        raise (_of_user(e) or e) from None


def _of_user(error: BaseException | None) -> UserError | None:
    """The UserError that caused an error from Hydra or Lightning, if one did."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__cause__ or error.__context__
    return None


def start() -> None:
    """The entry point for a recipe's ``run.py``."""
    run(main)
