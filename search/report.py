"""``python -m search.report --run DIR [--run DIR2 ...]``: a search as one page of HTML.

One run: its front in all pairs of objectives, the chosen network and what each layer of it costs, learning
curves, progress, what was rejected, stopped or failed and why, and the command that does it again. Several
runs: their fronts in the same pictures. Runs are only read, whether they are finished or still going on.
"""

from pathlib import Path

from absl import flags

from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import check_place, write_whole
from search.cost.quantities import candidates
from search.reporting import page as report_page
from search.reporting import png as report_png
from search.reporting import reading

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("run", [], "Directory of a search; several lie over each other.")
flags.DEFINE_string(
    "out", None, "The page [DIR/report.html; of several runs comparison.html in the first DIR]."
)
flags.DEFINE_string("png", None, "Also draw the fronts, error against each cost, to this file.")


def main(argv: list[str]) -> None:
    del argv
    directories = [Path(text) for text in FLAGS.run]
    if not directories:
        raise LogGradError("--run is missing: give the directory of a search, --run=runs/street")
    seen = [directory.resolve() for directory in directories]
    if len(set(seen)) < len(seen):
        twice = next(d for d, place in zip(directories, seen, strict=True) if seen.count(place) > 1)
        raise LogGradError(f"--run={twice} is given twice: give each search once")
    runs = [reading.read(directory) for directory in directories]
    default = directories[0] / ("report.html" if len(runs) == 1 else "comparison.html")
    out = Path(FLAGS.out) if FLAGS.out else default
    check_place(out, "out")
    if FLAGS.png:
        check_place(Path(FLAGS.png), "png")
    page = report_page.page(runs).encode()
    write_whole(out, page)
    print(f"{out}: {candidates(sum(len(run.records) for run in runs))}, {len(page) / 1e3:,.0f} KB")
    if FLAGS.png:
        report_png.write_png(Path(FLAGS.png), runs)
        print(FLAGS.png)


if __name__ == "__main__":
    cli.run(main)
