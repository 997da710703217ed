"""The README.md of a student directory: what the student is, how it was made, how to load it."""

from collections.abc import Mapping
from typing import Any

import yaml

_CARD = """\
---
library_name: transformers
pipeline_tag: feature-extraction
tags: [speech, distillation, robustness]
---

# A distilled speech encoder

{layers} layers of {size} units on {frames} features, {parameters:.2f} M parameters, trained with
espnet_robust ([method](https://arxiv.org/abs/2210.07978)) to keep a teacher's hidden states under
noise, reverberation and other distortions. Input: mono speech at {rate} Hz{normalized}.{erased}

## Load it

```python
import torch
from transformers import AutoFeatureExtractor, AutoModel

extractor = AutoFeatureExtractor.from_pretrained("{name}")
model = AutoModel.from_pretrained("{name}"{trust}).eval()
inputs = extractor([samples], sampling_rate={rate}, return_tensors="pt")  # samples: NumPy (N,)
with torch.inference_mode():
    states = model(**inputs, output_hidden_states=True).hidden_states
```

As a frontend of ESPnet: `frontend: robust_student`, `frontend_conf: {{student: {{path: {name}}}}}`.
For a device: `espnet-robust export {name}`.{group}

## Made by

```yaml
{provenance}
```
"""
_ERASED = """

From each layer, the {rank} directions in which distortion moves utterances most are erased."""
_ALONE = """ Of such
students, plain transformers loads only those whose architecture it has: not this one."""
_GROUP = """

This model normalises over time (group norm). In plain transformers, the padding of a batch affects
that norm; in espnet_robust it does not. With transformers, process one utterance at a time."""


def card(name: str, model: Any, provenance: Mapping[str, Any]) -> str:
    """The model card, in Markdown, of a student (a ``SpeechModel``) in a directory ``name``."""
    config = model.config
    front = "log-mel" if config.model_type.startswith("log_mel") else "convolution"
    own_file = type(model.encoder).__module__.startswith("espnet_robust.")
    erased = model.eraser is not None
    group_norm = getattr(config, "feat_extract_norm", "layer") == "group"
    return _CARD.format(
        layers=model.num_layers,
        size=model.hidden_size,
        frames=front,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        rate=model.rate,
        normalized=", scaled to zero mean and unit variance" if model.normalize else "",
        erased=_ERASED.format(rank=model.eraser.rank) + _ALONE * own_file if erased else "",
        name=name,
        trust=", trust_remote_code=True" if own_file or erased else "",
        group=_GROUP if group_norm else "",
        provenance=yaml.safe_dump(dict(provenance), sort_keys=False).strip(),
    )
