"""Write the model cards (README.md) of packed recognisers and students from the run's facts."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from espnet_robust.data.conditions import CLEAN
from espnet_robust.publish.run_facts import RunFacts, versions
from espnet_robust.score.formats import markdown_table

USE_PACKED = {
    "asr": """\
import soundfile
from espnet2.bin.asr_inference import Speech2Text
from espnet_robust import register

register()
recognise = Speech2Text.from_pretrained("{repo}")  # needs: pip install espnet_model_zoo
speech, rate = soundfile.read("speech.wav", dtype="float32")
text, *_ = recognise(speech)[0]
print(text)
""",
    "cls": """\
import soundfile
from espnet2.bin.cls_inference import Classification
from espnet_robust import register

register()
classify = Classification.from_pretrained("{repo}")  # needs: pip install espnet_model_zoo
speech, rate = soundfile.read("speech.wav", dtype="float32")
classes, scores, label = classify(speech)
print(label)
""",
}
USE_STUDENT = """\
frontend: robust_student
frontend_conf:
  student: {path: DIR}  # made by: hf download USER/NAME --local-dir DIR
  layers: weighted_sum
"""
WHO_HEARS = {
    "none": ("clean", "clean"),
    "setup1": ("clean", "distorted"),
    "setup2": ("distorted", "distorted, independently"),
    "same": ("distorted", "the same"),
}


def packed_card(facts: RunFacts, repo: str) -> str:
    """The card of a packed recogniser or classifier.

    Args:
        repo: where it can be found: a name on the hub or the packed file.
    """
    kind = "classifier" if facts.scores.task == "cls" else "recogniser"
    use = USE_PACKED[facts.scores.task].format(repo=repo)
    parts = [
        _front_matter(facts, "audio-classification" if kind == "classifier" else
                      "automatic-speech-recognition"),
        f"# {facts.scores.system}, a {kind} ({facts.recipe})",
        f"An ESPnet {kind} on {_stands_on(facts)}, trained with espnet_robust.",
        "## Use", _install(facts), f"```python\n{use}```",
        "The packed file loads without the hub: `Speech2Text(**unpack(FILE, DIR))`, with `unpack` "
        "from `espnet2.main_funcs.pack_funcs`."
        if kind == "recogniser" else "",
        *_common(facts),
    ]  # fmt: skip
    return _joined(parts)


def student_card(facts: RunFacts) -> str:
    """The card of a student directory."""
    parts = [
        _front_matter(facts, "feature-extraction"),
        f"# {facts.scores.system}, a distilled speech model ({facts.recipe})",
        "A student directory made by espnet_robust: a frontend for any ESPnet task.",
        "## Use",
        _install(facts),
        f"```yaml\n{USE_STUDENT}```",
        "ESPnet knows this frontend after `espnet_robust.register()`, or when "
        "`espnet-robust run` starts its command.",
        "Plain transformers loads it too: `AutoModel.from_pretrained(DIR)`, with "
        "`trust_remote_code=True` if there is a `modeling_*.py` in it.",
        *_common(facts),
    ]
    return _joined(parts)


def _install(facts: RunFacts) -> str:
    where = f"git+{facts.remote}" if facts.remote else "-e .  # in a checkout of espnet_robust"
    return f"    pip install espnet\n    pip install {where}"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _front_matter(facts: RunFacts, pipeline: str) -> str:
    language = sorted({m.language for m in facts.data if m.language})
    content = {
        "license": facts.licence,
        "library_name": "espnet",
        "pipeline_tag": pipeline,
        "tags": ["espnet", "espnet_robust", "audio", "speech", "distillation"],
        "language": language,
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False)}---"


def _stands_on(facts: RunFacts) -> str:
    if facts.provenance:
        return f"a student of {facts.teacher[0]}"
    if facts.scores.system == "teacher":
        return f"the frozen model {facts.teacher[0]}"
    return "log-mel features"


def _common(facts: RunFacts) -> list[str]:
    return [
        "## Results",
        _results(facts),
        "## Training",
        _training(facts),
        _distillation(facts.provenance),
        "## Data and licences",
        markdown_table(["what", "licence"], _licences(facts)),
    ]


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.1f}, {high:.1f}]"


def _results(facts: RunFacts) -> str:
    name = facts.metric.name
    rows = [
        [c.name, str(c.utterances), f"{i.value:.1f}", _ends(i.low, i.high)]
        for c in facts.scores.conditions
        if (i := facts.intervals.get(c.name))
    ]
    rows.sort(key=lambda row: row[0] != CLEAN)
    table = markdown_table(["condition", "utterances", f"{name}, %", "95 % interval"], rows)
    return (
        f"{table}\nIntervals are from a bootstrap over speakers, or over utterances if the "
        "speakers are unknown."
    )


def _training(facts: RunFacts) -> str:
    params = facts.scores.params
    size = f" {params / 1e6:.2f} M parameters, including the frontend." if params else ""
    used = ", ".join(f"{package} {number}" for package, number in versions().items())
    return (
        f"Seed {facts.scores.seed}; commit {facts.commit}; {used}.{size}\n\n"
        f"    cd {facts.recipe}\n    {facts.command}"
    )


def _distillation(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return ""
    teacher, student = WHO_HEARS.get(provenance.get("mapping", ""), ("?", "?"))
    losses = ", ".join(f"{name} x {w}" for name, w in (provenance.get("loss_conf") or {}).items())
    adversary = provenance.get("dat") or "none"
    shown = yaml.safe_dump({"distortion": provenance.get("distortion")}, sort_keys=False)
    lines = [
        f"The teacher hears {teacher} speech, the student {student}.",
        f"Target layers {provenance.get('target_layers')}; losses: {losses}; "
        f"adversary: {adversary}.",
    ]
    if provenance.get("distortion"):
        lines.append(f"\n```yaml\n{shown}```")
    return "\n".join(lines)


def _licences(facts: RunFacts) -> list[list[str]]:
    rows = [[m.title, m.licence] for m in facts.data]
    if facts.scores.system != "logmel":
        rows.insert(0, [f"teacher {facts.teacher[0]}", facts.teacher[1]])
    return rows
