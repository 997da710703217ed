"""ESPnet3's inference provider in a process that knows our frontend, its Dask workers included."""

from typing import Any

from espnet3.systems.base.inference_provider import InferenceProvider
from omegaconf import DictConfig

from espnet_robust.plugin.registration import register


class RegisteringProvider(InferenceProvider):
    """Registers the frontend before a model is built; otherwise ESPnet3's own."""

    @staticmethod
    def build_model(config: DictConfig) -> Any:
        register()
        return InferenceProvider.build_model(config)
