"""What erasing the directions of distortion from a student's time means costs and gains.

For each student and rank: balanced accuracy of the domain probe on copies of a test set, and
accuracy of a linear classifier of labels (`utt2label`), trained on means of clean speech, as in the
keyword recipe. The erasers are fitted to utterances of `--clean` and their distorted versions. Data
dirs are `RECIPE/data/NAME`; paths in them start in RECIPE.
"""

import argparse
from contextlib import chdir
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distill.erasure import fit_nuisance_eraser
from espnet_robust.distill.probe import balanced_accuracy, states_of, summarise
from espnet_robust.distortion import load_distortion
from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import load_student


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", nargs="+", type=Path)
    parser.add_argument("--clean", type=Path, required=True)
    parser.add_argument("--mixture", type=Path, required=True)
    parser.add_argument("--utterances", type=int, default=800)
    parser.add_argument("--probe", type=Path, nargs="+", required=True, help="clean, copies")
    parser.add_argument("--train", type=Path, required=True, help="labelled, clean")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="labelled")
    parser.add_argument("--ranks", type=int, nargs="+", default=[16, 32, 64])
    args = parser.parse_args()
    columns = [f"probe {p.name}" for p in args.probe[1:]] + [p.name for p in args.test]
    print("\t".join(["student", "rank", *columns]))
    for path in args.students:
        student = load_student(path)
        pairs = pairs_of(student, args.clean, args.mixture.resolve(), args.utterances)
        probed = [np.stack(list(means_of(student, p).values())) for p in args.probe]
        labelled = [(means_of(student, p), labels_of(p)) for p in (args.train, *args.test)]
        for rank in (0, *args.ranks):
            erase = fit_nuisance_eraser(*pairs, rank) if rank else lambda x: x
            clean, *copies = [erase(x) for x in probed]
            train, *tests = [
                (erase(np.stack([x[u] for u in y])), list(y.values())) for x, y in labelled
            ]
            reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(*train)
            found = [balanced_accuracy(clean, copy) for copy in copies]
            found += [100 * reader.score(*test) for test in tests]
            print("\t".join([str(path), str(rank), *(f"{x:.3f}" for x in found)]), flush=True)


def means_of(model: SpeechModel, path: Path) -> dict[str, np.ndarray]:
    """{utterance id: (D,)} time means of the last layer."""
    path = path.resolve()
    with chdir(path.parents[1]):
        return {utt: rows[0] for utt, rows in states_of(model, path).items()}


def labels_of(path: Path) -> dict[str, str]:
    lines = (path / "utt2label").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines)


@torch.inference_mode()
def pairs_of(
    model: SpeechModel, path: Path, mixture: Path, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) time means of clean utterances, and of the same utterances distorted."""
    path = path.resolve()
    pairs = []
    with chdir(path.parents[1]):
        distort = load_distortion(str(mixture))
        entries = sorted(read_data_dir(path).wav.items())
        for utt, entry in entries[:: max(1, len(entries) // number)][:number]:
            clean = read_audio(entry, rate=model.rate).astype(np.float32)
            distorted, record = distort(clean, utt, seed=0, epoch=0, side="student", progress=0.0)
            if record["domain"] != "clean":
                wav = torch.from_numpy(np.stack([clean, distorted]))
                hidden = model(wav, torch.tensor([len(clean)] * 2))
                last = hidden.states[model.num_layers].flatten(0, 1)
                pairs.append(summarise(last, hidden.lengths)[:, 0].numpy())
    return tuple(np.stack(pairs, axis=1))


if __name__ == "__main__":
    main()
