"""What the camera saw, and beside it what a network will see.

    python -m loggrad_tf.preview --data=folder:DIR --out=sheet.png
    python -m loggrad_tf.preview --image=photo.jpg --input=loggrad_2p25 --out=photo.png
    python -m loggrad_tf.preview --raw=photo.nef --mode=mosaic --out=photo.png

A set gives pairs of each class, spread evenly over it, with the thresholds that training on it would take.
One photograph, RAW or a picture, becomes a crop as a set would have it; a RAW file may also be seen whole.
Their thresholds are those of themselves alone. How both are drawn is said in :mod:`loggrad_tf.data.views`.
"""

import functools
import io
from collections.abc import Callable
from pathlib import Path

from absl import flags
from PIL import Image

from loggrad_tf import cli, parallel
from loggrad_tf.data import dataset, limits, options, raw, views
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.transform import frontend

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
_IMAGE = flags.DEFINE_string("image", None, "one photograph, RAW or a picture, instead of a data set")
_RAW = flags.DEFINE_string("raw", None, "one whole RAW file instead of a data set")
_GEOMETRY = flags.DEFINE_string(
    "geometry", None, "of a headerless --raw file: width,height,bits,black,white,cfa"
)
_INPUT = flags.DEFINE_enum("input", "loggrad_1p5", list(frontend.FORMATS), "what the network sees")
_OUT = flags.DEFINE_string("out", None, "the PNG to write", required=True)
_ROWS = flags.DEFINE_integer("rows", 3, "rows of pairs a class", lower_bound=1)
_COLUMNS = flags.DEFINE_integer("columns", 6, "pairs in a row", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    photographs = [path for path in (_IMAGE.value, _RAW.value) if path is not None]
    # A task alone means its usual data set.
    data = FLAGS["data"].present > 0 or (FLAGS["task"].present > 0 and not photographs)
    if data + len(photographs) != 1:
        raise LogGradError("give either --data or --raw or --image")
    if _GEOMETRY.value and _RAW.value is None:
        raise LogGradError("--geometry: it is of a headerless file: give that with --raw")
    for name in ("size", "fit"):
        if _RAW.value is not None and FLAGS[name].present:
            raise LogGradError(f"--{name}: --raw shows the whole frame: leave it out, or give --image")
    out = Path(_OUT.value)
    if out.suffix.lower() != ".png":
        raise LogGradError(f"--out={out}: a sheet is a PNG: end the name in .png")
    if _RAW.value is not None:
        geometry = raw.Geometry.parse(_GEOMETRY.value) if _GEOMETRY.value else None
        draw = functools.partial(views.frame, name=_INPUT.value, mode=FLAGS.mode, geometry=geometry)
        picture = _within_limits(draw, Path(_RAW.value))
    elif _IMAGE.value is not None:
        asked = options.request()
        draw = functools.partial(
            views.photograph, name=_INPUT.value, size=asked.size, mode=asked.mode, fit=asked.fit
        )
        picture = _within_limits(draw, Path(_IMAGE.value))
    else:
        picture = views.sheet(dataset.opened(options.request()), _INPUT.value, _ROWS.value, _COLUMNS.value)
    png = io.BytesIO()
    picture.save(png, format="PNG")
    write_whole(out, png.getvalue())
    print(f"{out}: {picture.width}x{picture.height}")


def _within_limits(draw: Callable[[Path], Image.Image], path: Path) -> Image.Image:
    (picture,) = parallel.run(draw, [path], "reading", limits=limits.PICTURE)
    if isinstance(picture, LogGradError):
        raise picture
    return picture


if __name__ == "__main__":
    cli.run(main)
