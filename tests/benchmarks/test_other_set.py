"""benchmarks.other_set: another set tests, whole, or says why it cannot."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.other_set import all_of
from loggrad_tf.data import dataset
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from tests.support.archives import pictures


def test_the_whole_other_set_tests(tmp_path: Path) -> None:
    asked = Request(f"folder:{pictures(tmp_path / 'a')}", 32, "gray")
    others = all_of(f"folder:{pictures(tmp_path / 'b', each=9)}", dataset.opened(asked), asked)
    assert len(others.labels_of("test")) == 18


def test_a_set_of_other_classes_is_refused(tmp_path: Path) -> None:
    asked = Request(f"folder:{pictures(tmp_path / 'a')}", 32, "gray")
    data = dataclasses.replace(dataset.opened(asked), class_names=("plate", "cup"))
    with pytest.raises(LogGradError, match="classes are cup, plate; the networks know plate, cup"):
        all_of(asked.spec, data, asked)
