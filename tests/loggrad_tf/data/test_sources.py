"""How pictures are dealt to the splits, and what is wrong with a box."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loggrad_tf.data.sources import SPLITS, Picture, assign, deal, judge, read_classes, read_lists
from loggrad_tf.data.voc import Object
from loggrad_tf.errors import LogGradError

_GROUPS = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=8),
    st.lists(st.sampled_from(("bicycle", "car", "person")), min_size=1, max_size=4),
    min_size=1,
    max_size=60,
)


@given(_GROUPS)
def test_dealing_depends_on_names_and_fills_every_split(groups: dict[str, list[str]]) -> None:
    splits = deal(groups)
    assert splits.keys() == groups.keys() and set(splits.values()) <= set(SPLITS)
    assert splits == deal(dict(reversed(groups.items())))
    for label in ("bicycle", "car", "person"):
        alone = [splits[name] for name, labels in groups.items() if set(labels) == {label}]
        if len(alone) == len(groups) and len(groups) >= 3:
            assert set(alone) == set(SPLITS)


def test_large_sets_are_dealt_70_15_15_in_each_class() -> None:
    names = ("bicycle", "car", "person")
    groups = {f"photo {n}": [names[n % 3]] * (1 + n % 2) for n in range(600)}
    splits = deal(groups)
    for label in names:
        dealt = [splits[name] for name, labels in groups.items() if labels[0] == label]
        assert [dealt.count(split) for split in SPLITS] == [140, 30, 30]
    assert [list(splits.values()).count(split) for split in SPLITS] == [420, 90, 90]


def _picture(name: str, group: str, split: str) -> Picture:
    return Picture(Path(name), name, group, split, (0, 0), ("car",))


def test_a_group_in_two_splits_is_an_error() -> None:
    kept = assign([_picture("a", "g", "val"), _picture("b", "g", "val"), _picture("c", "h", "train")])
    assert [picture.split for picture in kept] == ["val", "val", "train"]
    with pytest.raises(LogGradError, match="'g' is in val and in train"):
        assign([_picture("a", "g", "val"), _picture("b", "g", "train")])
    with pytest.raises(LogGradError, match="1 pictures have no split"):
        assign([_picture("a", "g", "val"), _picture("b", "h", "")])
    dealt = assign([_picture(f"{n}", f"{n // 2}", "") for n in range(40)])
    assert all(dealt[n].split == dealt[n + 1].split for n in range(0, 40, 2))


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Object("car", 1, 1, 60, 40), ""),
        (Object("car", 7, 7, 7, 7), ""),
        (Object("bus", 1, 1, 5, 5), "class 'bus' is not one of car"),
        (Object("car", 9, 1, 8, 5), "no area"),
        (Object("car", 0, 1, 8, 5), "not inside its frame of 60x40"),
        (Object("car", 1, 1, 61, 5), "not inside"),
        (Object("car", 1, 1, 5, 41), "not inside"),
    ],
)
def test_boxes_are_judged(box: Object, reason: str) -> None:
    wrong = judge([Object("car", 1, 1, 2, 2), box], ("car",), 60, 40)
    assert (wrong == {}) if not reason else (list(wrong) == [1] and reason in wrong[1])


def test_class_and_split_lists_are_checked(tmp_path: Path) -> None:
    assert read_classes(tmp_path, ("a", "b")) == ("a", "b") and read_lists(tmp_path) == {}
    (tmp_path / "classes.txt").write_text("dog\n\ncat\n")
    assert read_classes(tmp_path, ("a", "b")) == ("dog", "cat")
    (tmp_path / "classes.txt").write_text("dog\ndog\n")
    with pytest.raises(LogGradError, match="two or more different"):
        read_classes(tmp_path, ())
    (tmp_path / "train.txt").write_text("a\nb 1\n\n")
    (tmp_path / "test.txt").write_text("c\n")
    assert read_lists(tmp_path) == {"a": "train", "b": "train", "c": "test"}
    (tmp_path / "test.txt").write_text("b\n")
    with pytest.raises(LogGradError, match="'b' is in train.txt too"):
        read_lists(tmp_path)
