"""The distorting preprocessor as Hydra makes it from an ESPnet3 configuration."""

import numpy as np


def test_lists_and_mappings_come_from_hydra():
    import hydra
    from omegaconf import OmegaConf

    config = OmegaConf.create(
        {
            "snr": 5,
            "made": {
                "_target_": "espnet_robust.espnet3.preprocessor.DistortingPreprocessor",
                "distortion": {"chain": [{"name": "white", "snr_db": ["${snr}", 5]}]},
                "names": ["speech", "speech2"],
            },
        }
    )
    made = hydra.utils.instantiate(config.made, train=False)
    assert made.names == ["speech", "speech2"] and type(made.names) is list
    wav = np.sin(np.arange(8000, dtype=np.float32))
    heard = made("u", {"speech": wav, "speech2": wav})
    for name in made.names:
        assert 0.1 < np.abs(heard[name] - wav).std() < 1
