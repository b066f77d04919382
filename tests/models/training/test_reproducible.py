"""models.training.reproducible: how TensorFlow stands once it is started."""

import subprocess
import sys

import pytest

from tests.support import REPOSITORY

STARTED = """
from models.training.reproducible import start_tensorflow
start_tensorflow()
import tensorflow as tf
from tensorflow.python.framework import config
print(config.is_op_determinism_enabled(), tf.config.experimental.tensor_float_32_execution_enabled())
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.seconds
def test_operations_are_repeatable_and_products_whole() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False", "1"]
