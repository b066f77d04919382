"""All photographs of one data set as the test split of networks that were trained on another."""

import dataclasses

from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError


def all_of(spec: str, trained: DataSet, asked: Request) -> DataSet:
    """The set ``spec``, laid out as ``asked``, all of it in split test.

    Raises:
      LogGradError: its classes are not those of ``trained``, in their order.
    """
    other = dataset.opened(dataclasses.replace(asked, spec=spec))
    if other.class_names != trained.class_names:
        raise LogGradError(
            f"--tested_on={spec}: its classes are {', '.join(other.class_names)}; the networks know"
            f" {', '.join(trained.class_names)}"
        )
    return other.all_in("test")
