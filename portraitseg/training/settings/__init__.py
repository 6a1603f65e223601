"""The flags of `train`, a file a topic; `training.config` puts them together."""

from portraitseg.training.settings.data import DataSettings
from portraitseg.training.settings.devices import DeviceSettings
from portraitseg.training.settings.loss import LossSettings
from portraitseg.training.settings.net import NetSettings
from portraitseg.training.settings.optimiser import OptimiserSettings
from portraitseg.training.settings.quantization import QuantizationSettings
from portraitseg.training.settings.teacher import TeacherSettings
from portraitseg.training.settings.tracking import TrackingSettings

__all__ = [
    "DataSettings",
    "DeviceSettings",
    "LossSettings",
    "NetSettings",
    "OptimiserSettings",
    "QuantizationSettings",
    "TeacherSettings",
    "TrackingSettings",
]
