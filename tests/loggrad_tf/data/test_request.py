import pytest

from loggrad_tf.data.request import DataReference, Request
from loggrad_tf.errors import LogGradError


def test_what_no_crop_can_have_is_refused() -> None:
    wrong = (
        Request("a", 95, "gray"),
        Request("a", 6, "gray"),
        Request("a", 514, "gray"),
        Request("a", 96, "rgb"),
    )
    for request in (*wrong, Request("a", 96, "gray", "zoom")):
        with pytest.raises(LogGradError, match="choose"):
            request.check()
    Request("a", 96, "mosaic", "pad").check()


def test_a_reference_from_before_there_was_a_fit_is_one_of_stretched_pictures() -> None:
    stored = {"spec": "folder:a", "size": 96, "mode": "gray", "manifest_sha256": "0" * 64}
    assert DataReference.from_json(stored) == DataReference("folder:a", 96, "gray", manifest_sha256="0" * 64)
