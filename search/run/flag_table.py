"""``python -m search.run.flag_table``: write docs/search-flags.md, the knobs of a search and their defaults.

The tables are made from the fields that the flags are made from (:mod:`search.strategy.method`,
:class:`search.cost.objectives.Bounds`) and from the profiles, so they cannot say anything else. A test
compares the file with what would be written.
"""

from collections.abc import Iterable
from pathlib import Path

from loggrad_tf import cli
from loggrad_tf.files import write_whole
from loggrad_tf.knob import Flag
from search.cost.objectives import BOUND_FLAGS
from search.run.profiles import ENERGY, PROFILES, values
from search.strategy.method import METHOD_FLAGS

FILE = Path(__file__).resolve().parents[2] / "docs" / "search-flags.md"


def markdown() -> str:
    """The whole file."""
    return f"""# Flags of `python -m search.evolve`

Made by `python -m search.run.flag_table`; do not edit. A search takes the values of a profile,
`--profile=quick` (the default), `--profile=paper` or `--faithful`, and every flag that is given replaces
one of them. The flags for data, machine and directory are in `python -m search.evolve --help`.

## How candidates are drawn and trained

{table(METHOD_FLAGS)}

## Bounds

Soft bounds: each is an objective, and none drops it. With `--board` RAM and flash of the image are bounded by
the board's, and memory and weights by nothing; with `--energy` the energy by {ENERGY:g} J.

{table(BOUND_FLAGS)}
"""


def table(flags: Iterable[Flag]) -> str:
    """A Markdown table: each flag, what it does, and its value in every profile."""
    head = ("flag", "what it does", *PROFILES)
    rows = [head, ("---",) * len(head), *(_row(flag) for flag in flags)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(flag: Flag) -> tuple[str, ...]:
    form = f"--[no]{flag.name}" if flag.kind is bool else f"--{flag.name}"
    if flag.knob.choices:
        form += f"={'/'.join(flag.knob.choices)}"
    return f"`{form}`", flag.knob.help, *values(flag).values()


def main(argv: list[str]) -> None:
    del argv
    FILE.parent.mkdir(exist_ok=True)
    write_whole(FILE, markdown().encode())
    print(FILE)


if __name__ == "__main__":
    cli.run(main)
