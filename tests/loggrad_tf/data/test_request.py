import pytest
from absl import flags
from absl.testing import flagsaver

from loggrad_tf.data import options
from loggrad_tf.data.request import DataReference, Request
from loggrad_tf.errors import LogGradError

FLAGS = flags.FLAGS


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


@pytest.mark.parametrize(
    ("task", "asked", "sought"),
    [("classify", None, ""), ("presence:a", None, "a"), ("detect", (), ""), ("detect:a,b", ("a", "b"), "")],
)
def test_the_task_says_what_is_asked_for(task: str, asked: tuple[str, ...] | None, sought: str) -> None:
    request = Request("a", 96, "gray", "crop", task)
    request.check()
    assert (request.asked, request.sought, request.detects) == (asked, sought, asked is not None)


@flagsaver.flagsaver
def test_flags_that_are_not_given_are_usual_for_the_task() -> None:
    def asked(*flags: str) -> Request:
        FLAGS.unparse_flags()
        FLAGS(["test", *flags])
        return options.request()

    assert asked() == Request("synthetic", 96, "gray")
    assert asked("--task=detect") == Request("synthetic:street", (120, 160), "gray", "crop", "detect")
    given = asked("--task=detect:car", "--data=folder:a", "--size=64", "--fit=stretch")
    assert given == Request("folder:a", 64, "gray", "stretch", "detect:car")


def test_a_reference_from_before_there_was_a_fit_is_one_of_stretched_pictures() -> None:
    stored = {"spec": "folder:a", "size": 96, "mode": "gray", "manifest_sha256": "0" * 64}
    assert DataReference.from_json(stored) == DataReference("folder:a", 96, "gray", manifest_sha256="0" * 64)
