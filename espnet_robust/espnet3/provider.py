"""ESPnet3's inference provider with our frontend registered, in Dask workers too."""

from typing import Any

from espnet3.systems.base.inference_provider import InferenceProvider
from omegaconf import DictConfig

from espnet_robust.plugin.registration import register


class RegisteringProvider(InferenceProvider):
    """ESPnet3's provider, which registers our frontend before it builds a model."""

    @staticmethod
    def build_model(config: DictConfig) -> Any:
        register()
        return InferenceProvider.build_model(config)
