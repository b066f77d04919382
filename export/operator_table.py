"""``python -m export.operator_table``: write docs/operators.md, the operators that ``export.firmware`` takes.

The table is made from what reads them (:mod:`export.tflite.operators`) and from how their rows are made
(:mod:`export.plan.nodes`), so it cannot say anything else. A test compares the file with what would be
written.
"""

from pathlib import Path

from export.plan.nodes import GATHERS, SUMS
from export.plan.schedule import MAX_CALLS, MAX_MOMENTS
from export.tflite.file import MAX_FILE_BYTES, MAX_INPUTS, MAX_OPERATORS, MAX_OUTPUTS, MAX_SIDE
from export.tflite.operators import EDGES, KNOWN, STATEFUL, Known
from loggrad_tf import cli
from loggrad_tf.files import write_whole

FILE = Path(__file__).resolve().parents[1] / "docs" / "operators.md"


def markdown() -> str:
    """The whole file."""
    return f"""# Operators

Made by `python -m export.operator_table`; do not edit. `export.firmware` takes a `.tflite` of these
operators, quantised to int8 or uint8, batch 1, and computes what the reference kernels of TFLite compute,
bit for bit. Whatever it does not take is an error of one line that lists every operator it refuses, by its
index, with the reason.

| operator | what it may be | how its rows are made |
|---|---|---|
{_rows()}

Networks that remember (streaming): what is assigned becomes the variable behind each frame that is finished;
`net_init` and `net_reset` begin again.

| operator | what it may be |
|---|---|
{_texts(STATEFUL)}

At the ends of a model, which become those of the int8 tensors:

| operator | what it may be |
|---|---|
{_texts(EDGES)}

A network has up to {MAX_INPUTS} inputs and up to {MAX_OUTPUTS} outputs. Several inputs are one row of a
frame, one behind the other in the model's order, each whole; `net.h` says where each begins. Of the outputs
the first has the class, `net_further_output` gives the others. Sides are at most {MAX_SIDE}, operators at
most {MAX_OPERATORS}, the file at most {MAX_FILE_BYTES >> 20} MiB. A frame takes at most {MAX_CALLS} calls,
one a row of a layer, and calls times layers are at most {MAX_MOMENTS}.

A network whose maps are all of one row, such as those of 1-D convolutions, is turned: its sequence comes
place by place, and streams. One quantised to uint8 is read as the int8 network whose values and zero points
are 128 less; rows that are pushed, and scores, are those int8 values.
"""


def _rows() -> str:
    return "\n".join(f"| {code} | {known.limits} | {_made(known)} |" for code, known in KNOWN.items())


def _made(known: Known) -> str:
    if known.kind == "reshape":
        return "nothing is done where rows stay rows, else whole"
    if known.kind in SUMS:
        return "sums, a row of the input at a time"
    return "whole, a row of the input at a time" if known.kind in GATHERS else "row by row"


def _texts(texts: dict[str, str]) -> str:
    return "\n".join(f"| {code} | {text} |" for code, text in texts.items())


def main(argv: list[str]) -> None:
    del argv
    write_whole(FILE, markdown().encode())
    print(FILE)


if __name__ == "__main__":
    cli.run(main)
