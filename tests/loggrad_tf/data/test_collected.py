"""loggrad_tf.data.collected: sessions and their splits; what cameras send is tested in tests/firmware."""

from loggrad_tf.data.collected import dealt

CAR, PERSON = "car", "person"


def sessions(*labels: str) -> list[tuple[str, str]]:
    """Two frames of each session, the sessions in the order of their names."""
    return [(f"{place:04d}", label) for place, label in enumerate(labels) for _ in range(2)]


def test_sessions_of_each_class_are_dealt_in_turn() -> None:
    splits = dealt(sessions(*[CAR] * 10, PERSON, PERSON, PERSON))
    assert [splits[f"{place:04d}"] for place in range(13)] == [
        "train", "val", "test", "train", "train", "train", "train", "train", "val", "test",
        "train", "val", "test",
    ]  # fmt: skip


def test_a_session_keeps_its_split_as_more_come() -> None:
    labels = [CAR, PERSON, CAR, CAR, PERSON, PERSON, PERSON, CAR] * 3
    splits: dict[str, str] = {}
    for count in range(1, len(labels)):
        now = dealt(sessions(*labels[:count]))
        assert splits.items() <= now.items()
        splits = now


def test_most_frames_of_a_session_decide_whose_it_is() -> None:
    frames = [*sessions(CAR, CAR), ("0002", PERSON), ("0002", CAR), ("0002", CAR), ("0003", PERSON)]
    assert dealt(frames) == {"0000": "train", "0001": "val", "0002": "test", "0003": "train"}
