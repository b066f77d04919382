"""Annotations: the real PASCALRAW set, round trips, and files that must be refused."""

import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loggrad_tf.data.voc import Annotation, Object, read_voc, scale_box, write_voc
from loggrad_tf.errors import LogGradError

WRONG_FILENAMES = ("000949", "001522", "001523", "001532", "001577", "001880")


@pytest.mark.seconds
def test_the_whole_real_set_is_read(shared: Path, tmp_path: Path) -> None:
    with tarfile.open(next((shared / "data/pascalraw_annotations").glob("*.tar.gz"))) as tar:
        tar.extractall(tmp_path, filter="data")
    files = sorted((tmp_path / "VOC2014/Annotations").glob("*.xml"))
    annotations = [read_voc(path) for path in files]
    objects = [(note, item) for note in annotations for item in note.objects]
    assert len(files) == 4259
    assert Counter(item.name for _, item in objects) == {"bicycle": 708, "car": 1765, "person": 4077}
    assert {(note.width, note.height) for note in annotations} == {(600, 400)}
    assert sum(item.pose == "" for _, item in objects) == 34
    assert all(1 <= i.xmin <= i.xmax <= 600 and 1 <= i.ymin <= i.ymax <= 400 for _, i in objects)
    assert [note.name for note in annotations] == [path.stem for path in files]
    for number in WRONG_FILENAMES:
        path = tmp_path / f"VOC2014/Annotations/2014_{number}.xml"
        assert f"<filename>{path.stem}" not in path.read_text() and read_voc(path).name == path.stem


_BOXES = st.builds(
    Object,
    st.sampled_from(("bicycle", "car", "a & b")),
    *[st.integers(-5, 700)] * 4,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("Left", "", "Unspecified")),
)


@given(objects=st.lists(_BOXES, max_size=5), size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, objects: list[Object], size: tuple[int, int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "note.xml"
    note = Annotation("note", size[0], size[1], tuple(objects))
    write_voc(path, note)
    assert read_voc(path) == note


def test_the_order_of_elements_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotation><size><width>60</width><height>40</height></size><object><bndbox><ymax>9.6</ymax>"
        "<xmin>1</xmin><ymin> 2 </ymin><xmax>5</xmax></bndbox><pose/><name>car</name></object></annotation>"
    )
    assert read_voc(path) == Annotation("a", 60, 40, (Object("car", 1, 2, 5, 10, pose=""),))


def test_boxes_are_scaled_from_inclusive_to_half_open() -> None:
    assert scale_box(Object("car", 1, 1, 600, 400), (600, 400), (6034, 4012)) == (0, 0, 6034, 4012)
    assert scale_box(Object("car", 2, 3, 2, 3), (60, 40), (120, 80)) == (2, 4, 4, 6)


_HEAD = "<annotation><size><width>6</width><height>4</height></size>"
_BOMB = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not XML"),
        ("<annotation><object>", "not XML"),
        ("<svg/>", "no <annotation>"),
        ("<annotation/>", "no <annotation> with a <size>"),
        ("<annotation><size><width>0</width><height>4</height></size></annotation>", "frame is 0x4"),
        (f"{_HEAD}<object><name>car</name></object></annotation>", "no <bndbox>"),
        (f"{_HEAD}<object><bndbox/></object></annotation>", "no <name>"),
        (f"{_HEAD}<object><name>a</name><bndbox><xmin>x</xmin></bndbox></object></annotation>", "'x'"),
        (f"{_HEAD}<object><name>a</name><bndbox><xmin>nan</xmin></bndbox></object></annotation>", "'nan'"),
        (f'<!DOCTYPE a [<!ENTITY e0 "x">{_BOMB}]><annotation>&e9;</annotation>', "DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>', "DOCTYPE"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bad.xml"
    start = time.monotonic()
    for encoding in ("utf-8", "utf-16"):
        path.write_text(text, encoding=encoding)
        with pytest.raises(LogGradError, match=reason) as caught:
            read_voc(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - start < 5
