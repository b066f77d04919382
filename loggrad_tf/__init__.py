"""From RAW photographs to log-gradient network inputs (Lu & Murmann 2022).

The names for other people's programs::

    from loggrad_tf import FrontEnd, GradientQuantizer, Sensor

Each is imported when it is asked for: the layers bring TensorFlow, and nothing else does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loggrad_tf.errors import LogGradError
    from loggrad_tf.transform.frontend import FrontEnd
    from loggrad_tf.transform.layers import GradientQuantizer, LogGradient
    from loggrad_tf.transform.sensor import Sensor
    from loggrad_tf.transform.trainable import TrainableQuantizer

# Of the package and of the text that export.firmware writes; images carry it.
__version__ = "0.2.0"

__all__ = ["FrontEnd", "GradientQuantizer", "LogGradError", "LogGradient", "Sensor", "TrainableQuantizer"]

_MODULES = {
    "FrontEnd": "loggrad_tf.transform.frontend",
    "GradientQuantizer": "loggrad_tf.transform.layers",
    "LogGradError": "loggrad_tf.errors",
    "LogGradient": "loggrad_tf.transform.layers",
    "Sensor": "loggrad_tf.transform.sensor",
    "TrainableQuantizer": "loggrad_tf.transform.trainable",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'loggrad_tf' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
