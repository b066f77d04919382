"""Contact sheets, to see what a network will see.

    python -m loggrad_tf.preview --data folder:DIR --out sheet.png
    python -m loggrad_tf.preview --raw photo.nef --out photo.png

A set gives rows of crops for each class, spread evenly over it; a RAW file its gray frame and, if it has
colours, those beside it (:mod:`loggrad_tf.data.views`).
"""

import functools
import io
from pathlib import Path

from absl import flags
from PIL import Image

from loggrad_tf import cli, parallel
from loggrad_tf.data import dataset, limits, options, raw, views
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
_RAW = flags.DEFINE_string("raw", None, "one RAW file instead of a data set")
_GEOMETRY = flags.DEFINE_string("geometry", None, "of a headerless file: width,height,bits,black,white,cfa")
_OUT = flags.DEFINE_string("out", None, "the PNG to write", required=True)
_ROWS = flags.DEFINE_integer("rows", 3, "rows of crops a class", lower_bound=1)
_COLUMNS = flags.DEFINE_integer("columns", 12, "crops in a row", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    if FLAGS["data"].present and _RAW.value is not None:
        raise LogGradError("give either --data or --raw")
    out = Path(_OUT.value)
    if out.suffix.lower() != ".png":
        raise LogGradError(f"--out={out}: a sheet is a PNG: end the name in .png")
    if _RAW.value is not None:
        geometry = raw.Geometry.parse(_GEOMETRY.value) if _GEOMETRY.value else None
        picture = _photograph(Path(_RAW.value), geometry)
    else:
        data = dataset.opened(options.request())
        picture = views.sheet(data, _ROWS.value, _COLUMNS.value)
    png = io.BytesIO()
    picture.save(png, format="PNG")
    write_whole(out, png.getvalue())
    print(f"{out}: {picture.width}x{picture.height}")


def _photograph(path: Path, geometry: raw.Geometry | None) -> Image.Image:
    draw = functools.partial(views.photograph, geometry=geometry)
    (picture,) = parallel.run(draw, [path], "reading", limits=limits.PICTURE)
    if isinstance(picture, LogGradError):
        raise picture
    return picture


if __name__ == "__main__":
    cli.run(main)
