"""loggrad_tf: the public names are there, and only the layers bring TensorFlow."""

import subprocess
import sys

import pytest

import loggrad_tf
from tests.support import REPOSITORY


def test_every_public_name_is_what_its_module_calls_so() -> None:
    for name in loggrad_tf.__all__:
        assert getattr(loggrad_tf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Quantizer'"):
        loggrad_tf.Quantizer  # noqa: B018


def test_values_come_without_tensorflow() -> None:
    program = "import sys; from loggrad_tf import FrontEnd, Sensor; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
