"""The distortion engine: NumPy in, NumPy out.

>>> import numpy as np
>>> distorter = load_distortion({"chain": [{"name": "white", "snr_db": 10}]})
>>> wav = np.sin(np.arange(16000) / 10).astype(np.float32) / 2
>>> noisy, record = distorter(wav, "utt1", seed=0)
>>> record["domain"], bool((distorter.apply(wav, record) == noisy).all())
('white', True)
"""

from espnet_robust.distortion.chain import Distorter
from espnet_robust.distortion.config import load_distortion
from espnet_robust.distortion.seeding import rng_for

__all__ = ["Distorter", "load_distortion", "rng_for"]
