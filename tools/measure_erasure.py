"""What erasing directions from a student's frames (`erase: {rank: N}`) costs and gains.

For each distillation experiment and rank, on its validation set: the distillation loss with the
heads as they were trained, and the domain probe of mean and deviation. On other data: balanced
accuracy of the probe of the mean for `--probe CLEAN COPY...`; and the accuracy of a linear
classifier of labels, trained on means over time of clean speech, as in the keyword recipe ("a|b":
it is right if each part is). Then, for each rank, by how much it lowers the errors over all
distorted test sets and all experiments, and what it does to clean speech, with a bootstrap over
speakers and experiments: against rank 0 of the same experiments, or of those of `--against`.

All from the last layer. Run it in the recipe of the experiments; other data dirs are
RECIPE/data/NAME, and paths in them start in RECIPE.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import numpy as np
import torch
from espnet2.train.collate_fn import CommonCollateFn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from espnet_robust.common.config import read_yaml
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import iter_table
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.probe import balanced_accuracy, states_of
from espnet_robust.distill.student_erasure import StudentErasure
from espnet_robust.distill.task import DistillTask
from espnet_robust.models.eraser import Eraser
from espnet_robust.models.speech_model import SpeechModel

DRAWS = 2000  # of the bootstrap


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="+", type=Path, help="output_dir of distill_train")
    parser.add_argument(
        "--against", nargs="+", type=Path, help="as many others, which are rank 0 in their place"
    )
    parser.add_argument("--checkpoint", default="valid.distill.best.pth")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--utterances", type=int, default=500, help="to fit an eraser")
    parser.add_argument("--distortion", type=read_yaml, help="another mixture to fit it to")
    parser.add_argument("--probe", type=Path, nargs="*", default=[], help="clean, copies")
    parser.add_argument("--label", default="utt2label", help="table with the labels")
    parser.add_argument("--train", type=Path, required=True, help="labelled, clean")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="clean, copies")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.against and len(args.against) != len(args.experiments):
        parser.error(f"--against: {len(args.against)} for {len(args.experiments)} experiments")
    columns = [f"probe {p.name}" for p in args.probe[1:]] + [p.name for p in args.test]
    columns = ["loss", "probe valid", "deviation valid", *columns]
    print("\t".join(["experiment", "rank", *columns]), flush=True)
    right = [_measure(experiment, args, args.ranks) for experiment in args.experiments]
    ranks = [0, *args.ranks]
    if args.against:
        others = [_measure(experiment, args, []) for experiment in args.against]
        right = [other + ours for other, ours in zip(others, right, strict=True)]
        ranks.insert(0, 0)
    speakers = list(dict(iter_table(args.test[0] / "utt2spk")).values())
    found = np.array(right)  # (experiments, ranks, test sets, utterances)
    words = (found[:, :, 1:], speakers, ranks)
    for rank, *interval in saved_errors(*words):
        print("rank {}: {:.1f} % fewer errors ({:.1f} to {:.1f})".format(rank, *interval))
    for rank, *interval in gained_points(found[:, :, :1], *words[1:]):
        print("rank {}, clean: {:+.1f} points ({:+.1f} to {:+.1f})".format(rank, *interval))


def _measure(experiment: Path, args: argparse.Namespace, ranks: Sequence[int]) -> list[np.ndarray]:
    """Print a row for rank 0 and each of ``ranks`` -> (test sets, utterances) right, of each."""
    config, model = load(experiment, args.checkpoint)
    student, right, whole = model.student, [], None
    if ranks:
        fit = {"rank": max(ranks), "utterances": args.utterances, "distortion": args.distortion}
        whole = StudentErasure.of(config | {"erase": fit}).fit(student)
    probed = [means_of(student, p) for p in args.probe]
    labelled = [
        (means_of(student, p), dict(iter_table(p / args.label))) for p in (args.train, *args.test)
    ]
    for rank in (0, *ranks):
        eraser = student.eraser = first_directions(whole, rank) if rank else None
        found = validate(model, config)
        if probed:
            utts, *of_copies = map(list, probed)
            clean, *copies = [erased(eraser, np.stack(list(x.values()))) for x in probed]
            found += [
                balanced_accuracy(clean, copy, (utts, of_copy))
                for copy, of_copy in zip(copies, of_copies, strict=True)
            ]
        train, *tests = [
            (erased(eraser, np.stack([x[utt] for utt in y])), list(y.values())) for x, y in labelled
        ]
        right.append(np.stack(classify(train, tests)))
        found += list(100 * right[-1].mean(1))
        # A probe needs enough utterances of both domains.
        cells = ("-" if x is None else f"{x:.3f}" for x in found)
        print("\t".join([str(experiment), str(rank), *cells]), flush=True)
    return right


def load(experiment: Path, checkpoint: str) -> tuple[dict, DistillModel]:
    """The configuration and the model of a distillation, in eval mode; it probes the domain.

    Of a system with `erase` it is the student before: ranks are what is measured here.
    """
    config = read_yaml(experiment / "config.yaml") | {"domain_probe": True, "erase": {}}
    given = DistillTask.get_parser().parse_args([])
    model = DistillTask.build_model(argparse.Namespace(**(vars(given) | config)))
    weights = torch.load(experiment / checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    return config, model.eval()


def first_directions(eraser: Eraser, rank: int) -> Eraser:
    """The eraser of a lower rank: the strongest direction is the first."""
    layers, size, _ = eraser.read.shape
    part = Eraser(layers, size, rank)
    part.read = eraser.read[:, :, :rank]
    part.offset = eraser.offset[:, :rank]
    part.write = eraser.write[:, :rank]
    return part


def erased(eraser: Eraser | None, means: np.ndarray) -> np.ndarray:
    """(N, D) means over time of the last layer, erased: the mean of erased frames is just that."""
    if eraser is None:
        return means
    return eraser.layer(torch.from_numpy(means), -1).numpy()


def means_of(model: SpeechModel, path: Path) -> dict[str, np.ndarray]:
    """{utterance id: (D,)} time means of the last layer."""
    path = path.resolve()
    with chdir(path.parents[1]):
        return {utt: rows[0] for utt, rows in states_of(model, path).items()}


@torch.inference_mode()
def validate(model: DistillModel, config: dict) -> list[float]:
    """Distillation loss (the mean over frames) and probes, one utterance at a time."""
    given = DistillTask.get_parser().parse_args([])
    args = argparse.Namespace(**(vars(given) | config))
    views, collate = DistillTask.build_preprocess_fn(args, train=False), CommonCollateFn()
    total = frames = 0.0
    for utt, entry in iter_table(config["valid_data_path_and_name_and_type"][0][0]):
        wav = read_audio(entry, rate=model.student.rate)
        utts, batch = collate([(utt, views(utt, {"speech": wav}))])
        _, stats, weight = model(**batch, utt_id=utts)
        total, frames = total + float(stats["distill"] * weight), frames + float(weight)
    probes = model.fit_probes()
    return [total / frames, *map(probes.get, ("domain_probe", "domain_probe_deviation"))]


def classify(train: tuple, tests: Sequence[tuple]) -> list[np.ndarray]:
    """Whether logistic regression of each part of a label is right, (utterances,) per test set."""
    right = [np.ones(len(labels), bool) for _, labels in tests]
    for part in range(train[1][0].count("|") + 1):
        reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        reader.fit(train[0], [label.split("|")[part] for label in train[1]])
        for correct, (x, labels) in zip(right, tests, strict=True):
            correct &= reader.predict(x) == np.array([label.split("|")[part] for label in labels])
    return right


def saved_errors(
    right: np.ndarray, speakers: Sequence[str], ranks: Sequence[int]
) -> Iterator[tuple[int, float, float, float]]:
    """(rank, per cent of the errors of rank 0 that it saves, and the 95 % interval).

    Args:
        right: (experiments, ranks, copies, utterances) bool.
        speakers: that of each utterance; all of a speaker's utterances are drawn together.
        ranks: the first is that with which the others are compared.
    """
    errors = drawn(~right, speakers)
    for rank, ours in zip(ranks[1:], errors[:, 1:].T, strict=True):
        saved = 100 * (1 - ours / errors[:, 0])
        yield rank, saved[0], *np.percentile(saved[1:], [2.5, 97.5])


def gained_points(
    right: np.ndarray, speakers: Sequence[str], ranks: Sequence[int]
) -> Iterator[tuple[int, float, float, float]]:
    """As ``saved_errors``: (rank, points of accuracy above rank 0, and the 95 % interval)."""
    correct, number = drawn(right, speakers), drawn(np.ones_like(right), speakers)
    for i, rank in enumerate(ranks[1:], 1):
        gained = 100 * (correct[:, i] - correct[:, 0]) / number[:, i]
        yield rank, gained[0], *np.percentile(gained[1:], [2.5, 97.5])


def drawn(counted: np.ndarray, speakers: Sequence[str]) -> np.ndarray:
    """(1 + DRAWS, ranks) numbers of True: all, then of drawn experiments and drawn speakers.

    Args:
        counted: (experiments, ranks, copies, utterances) bool.
        speakers: that of each utterance.
    """
    names, group = np.unique(speakers, return_inverse=True)
    table = counted.sum(2).astype(float) @ np.eye(len(names))[group]
    rng = np.random.default_rng(0)
    times = [
        np.concatenate([np.ones((1, n)), rng.multinomial(n, np.ones(n) / n, DRAWS)])
        for n in (len(table), len(names))
    ]
    return np.einsum("de,ers,ds->dr", times[0], table, times[1])


if __name__ == "__main__":
    main()
