"""Prepare a data set and say what is in it.

    python -m loggrad_tf.prepare --data pascalraw:DIR --size 96 --mode gray

    python -m loggrad_tf.prepare --data prepared:DIR --size 96 --mode gray --check

    python -m loggrad_tf.prepare --data folder:DIR --task detect:person,car --size 240x160

Prints the crops of each class in each split, or the objects in frames and their sizes, the sensor and whose
photographs they are, what was left out and why, and where the set is; warns of a set that is too small to
train on. With ``--check`` every crop is compared with the hash that its manifest has of it, and every
box with its line.
"""

import sys

from absl import flags

from loggrad_tf import cli
from loggrad_tf.data import dataset, options, prepared
from loggrad_tf.data.sides import dimensions
from loggrad_tf.data.summary import counted, doubts, reasons, sizes, table

flags.adopt_module_key_flags(options)
_CHECK = flags.DEFINE_bool("check", False, "compare every crop, class and split with the set's manifest")


def main(argv: list[str]) -> None:
    del argv
    data = dataset.opened(options.request())
    if _CHECK.value:
        prepared.check(data)
    sensor, what = data.sensor, "frames" if data.detects else "crops"
    print(table(data))
    for line in sizes(data):
        print(f"size    {line}")
    print(
        f"sensor  {sensor.bits} bits, black {sensor.black}, white {sensor.white}, {sensor.cfa};"
        f" {what} {dimensions(data.size)}, {data.mode}, {data.fit}"
    )
    if data.noise is not None:
        print(f"noise   {data.noise:.3f} of the log gradient at middle gray: no threshold goes below it")
    for camera, count in data.cameras.items():
        print(f"camera  {camera}: {count} {'photograph' if count == 1 else 'photographs'}")
    rejects = data.rejects()
    print(f"rejects {counted(rejects)}")
    for line in reasons(rejects):
        print(line)
    print(f"set     {data.path}")
    print(f"sha256  {data.manifest_sha256}")
    if _CHECK.value:
        print(f"check   {len(data.pixels)} {what} are those of the manifest")
    for warning in doubts(data):
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
