"""``python -m export.firmware --model model.tflite --board mps2-an386 --out DIR``: a firmware project.

Writes a CMake project that needs nothing of this repository: the network as C, the library, the
board's folder, test vectors. ``model.json`` beside the model says what RAW is and how it becomes the
input tensor; without it the project takes rows of the int8 input tensor. Prints the memory plan, and
refuses a network that does not fit the board.

With --collect the project has no network: it sends frames of the board's camera (``firmware.collect``).
"""

import dataclasses
import hashlib
import json
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from export import board_fields, boards
from export.c import answer, collector, emit, forms, vectors
from export.c.text import NAME, TEMPLATES, WIDTH, check_name, comment, filled, named
from export.plan.input import Input, describe, stamp
from export.plan.lengthwise import lengthwise
from export.plan.nodes import build
from export.plan.plan import Plan
from export.predict import footprint
from export.project.engine import (
    DEFAULTS,
    EXAMPLE_PORTS,
    LOGGRAD,
    TFLM,
    Engine,
    Given,
    Options,
    generated,
    interpreted,
)
from export.tflite import graph as tflite_graph
from export.tflite.quant_graph import QuantGraph
from firmware import verify
from firmware.project import BAUD, FirmwareError
from loggrad_tf import __version__, cli, files, json_base
from loggrad_tf.data import description
from loggrad_tf.data.sides import Size, parsed, short, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import FACTORS
from loggrad_tf.transform.sensor import MONO

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "The int8 flatbuffer; model.json is looked for beside it.")
flags.DEFINE_string("board", None, "A folder of firmware/boards, or of --boards.")
boards.define_flag()
flags.DEFINE_string(
    "out", None, "Directory of the project; an earlier one of the same board and model there is replaced."
)
flags.DEFINE_boolean("replace", False, "Replace an earlier project of another board or model, too.")
flags.DEFINE_enum("tables", "flash", ["flash", "ram"], "Where tables of a first layer lie.")
flags.DEFINE_integer(
    "max_flash", None, "Flash to use, in bytes (default: all that the board has).", lower_bound=1
)
flags.DEFINE_enum(
    "optimise",
    footprint.SPEED,
    [footprint.SPEED, footprint.FLASH, footprint.RAM],
    "What may cost the rest: the price is printed. ram: a plan that takes a minute.",
)
flags.DEFINE_enum(
    "runtime", LOGGRAD, [LOGGRAD, TFLM], "The generated C, or TensorFlow Lite Micro (-DTFLM_DIR)."
)
flags.DEFINE_integer("arena_bytes", None, "Of --runtime=tflm (default: a guess).", lower_bound=1)
flags.DEFINE_enum(
    "binning",
    "1",
    [str(k) for k in FACTORS],
    "k: the board averages k x k codes of its camera to a pixel.",
)
flags.DEFINE_enum(
    "as",
    forms.PROJECT,
    forms.FORMS,
    "A project for --board, or a library for other build systems and its core.",
)
flags.DEFINE_string(
    "name", NAME, "What files and public symbols begin with: two networks of two names fit into one image."
)
flags.DEFINE_boolean(
    "collect", False, "A project that sends frames of the board's camera, without a network."
)
flags.DEFINE_string(
    "window",
    None,
    "Of --collect: a frame, in photosites: its side, or width and height, 240x160 (default: the largest"
    " square that the camera has).",
)
flags.DEFINE_integer(
    "baud",
    BAUD,
    "Speed of the serial line of a board with a camera.",
    lower_bound=BAUD,
    upper_bound=3_000_000,
)
flags.DEFINE_integer("vectors", 16, "Test frames to put into the project.", lower_bound=1, upper_bound=10000)

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware"
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Project:
    """Everything that goes to disk, and the numbers to print."""

    board: dict[str, Any]
    model_sha256: str
    files: dict[str, bytes]
    engine: Engine
    source: Input
    note: str
    form: str = forms.PROJECT


def make(model: Path, board_name: str, options: Options = DEFAULTS) -> Project:
    """Generate the project for one model and one board (see :func:`export.boards.read`), in memory."""
    board, name = boards.read(board_name), check_name(options.name)
    if not model.is_file():
        raise LogGradError(f"--model={model}: no such file; export.convert writes model.tflite")
    graph = tflite_graph.load(model)
    found = description.read(model, graph.sha256)
    if found is None and options.runtime == LOGGRAD:
        graph = lengthwise(graph)
    tensor = graph.tensors[build(graph).input]
    front_end = found.front_end if found else None
    if found and found.input_shape not in (None, tensor.shape):
        given, own = list(found.input_shape or ()), list(tensor.shape)
        raise LogGradError(f"model.json: input_shape is {given}, the flatbuffer's {own}: convert again")
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point, options.binning)
    source = dataclasses.replace(source, unsigned=graph.unsigned)
    if options.form == forms.PROJECT:
        _check_window(board, source)
    classes = found.class_names if found else ()
    output = graph.tensors[graph.output]
    cells = found.cells if found else None
    answer.check(graph, cells, classes)
    command = (
        f"python -m export.firmware --model={model.name} {boards.as_flags(board, short=True)}{options.text}"
    )
    mark = f"{__version__}/{stamp(source)}"
    runtime = interpreted if options.runtime == TFLM else generated
    whole = Given(model.read_bytes(), graph, source, board, classes, command, mark, cells)
    engine = runtime(whole, options)
    made = vectors.make(source, found.data if found else None, options.vectors)
    if cells is not None:
        made = dataclasses.replace(made, labels=np.full_like(made.labels, vectors.UNLABELLED))
    record = {
        "loggrad_project": VERSION,
        "generator": __version__,
        "board": board["name"],
        "command": command,
        "runtime": options.runtime,
        "name": name,
        "form": options.form,
        "model_sha256": graph.sha256,
        "stamp": mark,
        "input": source.text,
        "rows": source.rows,
        "row_codes": source.row_codes,
        "binning": source.binning,
        "code_bytes": source.code_bytes,
        "layers": [_layer(engine.plan, *layer) for layer in engine.layers],
        "nodes": engine.nodes,
        "steps": dataclasses.asdict(engine.steps) if engine.steps else None,
        "input_scale": tensor.scale,
        "input_zero_point": tensor.zero_point,
        "output_scale": output.scale,
        "output_zero_point": output.zero_point,
        "outputs": output.size,
        "input_tensor": graph.input,
        "output_tensor": graph.output,
        "stateful": int(bool(graph.states)),
        "class_names": list(classes),
        "state_bytes": engine.footprint.state,
        "predicted": dataclasses.asdict(engine.footprint),
    }
    if cells is not None:
        record["cells"] = cells.to_json()
    if graph.joined:
        record["joined"] = list(graph.joined)
    if options.baud != BAUD:
        if board.get("camera") is None or options.form != forms.PROJECT:
            raise LogGradError(f"--baud={options.baud}: of projects for boards with a camera: leave it out")
        record["baud"] = options.baud
    if engine.arena_bytes is not None:
        record["arena_bytes"] = engine.arena_bytes
    readme = {
        "TITLE": f"{model.name} on {board['title']}",
        "INPUT": source.text,
        "SHA": graph.sha256,
        "BOARD": board["name"],
        "PREDICTED": engine.footprint.text,
        "ROWS": source.rows,
        "CODES": source.row_codes,
        "TYPE": source.code_type,
        "NAME": name,
        "EXAMPLE": _EXAMPLE_ROW if board["name"] in EXAMPLE_PORTS else "",
        "STEPS": _STEPS.format(name=name, steps=named(engine.steps.text, name)) if engine.steps else "",
    }
    note = f"{len(made.frames)}: {made.note}"
    if options.form != forms.PROJECT:
        network = forms.Network(
            name=name,
            title=comment(f"{model.name}: {source.text}", 2 * WIDTH),
            sources={path.removeprefix("src/"): content for path, content in engine.files.items()},
            frame=made.frames[0],
            note=made.note,
            scores=_scores(model, graph, made),
            core=board["core"],
            state=engine.footprint.state,
            stack=engine.footprint.stack,
            detects=cells is not None,
        )
        files = forms.files(options.form, network) | {"project.json": _json(record)}
        return Project(board, graph.sha256, files, engine, source, note, options.form)
    text = filled((TEMPLATES / "README.md.in").read_text(), readme) + engine.readme
    example = _example(board, name, forms.frame_header(made.frames[0], made.note, name))
    files = (
        engine.files
        | example
        | {
            "CMakePresets.json": emit.presets(board, options.baud, (source.rows, source.row_codes)),
            "README.md": text.encode(),
            "project.json": _json(record),
            "model.tflite": model.read_bytes(),
            "vectors.npz": made.npz(),
        }
    )
    if found:
        files[description.NAME] = model.with_name(description.NAME).read_bytes()
    return Project(board, graph.sha256, files, engine, source, note)


def _check_window(board: dict[str, Any], source: Input) -> None:
    """LogGradError, with what fits, if the board's camera has no windows as large as the network's frames."""
    camera = board.get("camera")
    if camera is None or source.front_end is None:
        return
    rows, columns = board_fields.largest_window(camera)
    if source.rows > rows or source.row_codes > columns:
        even = 2 * source.binning
        raise LogGradError(
            f"--board={board['name']}: its camera has windows up to {columns}x{rows}, the network asks for"
            f" {source.row_codes}x{source.rows} with --binning={source.binning}: a --size up to"
            f" {columns // even * 2}x{rows // even * 2} fits"
        )


def doubts(project: Project) -> list[str]:
    """What builds, but may not do what is meant."""
    board, source, found = project.board, project.source, []
    stack, camera = project.engine.footprint.stack, board.get("camera")
    if stack is not None and board["stack"] is not None and stack > board["stack"]:
        found.append(
            f"a call may take {stack:,} B of stack, {board['name']} has {board['stack']:,} B: raise 'stack'"
            " in its board.json"
        )
    sensor = source.front_end.sensor if source.front_end is not None else None
    if camera is not None and sensor is not None:
        if (sensor.cfa == MONO) != (camera["cfa"] == MONO) and source.binning == 1:
            found.append(
                f"the camera of {board['name']} is {camera['cfa']}, the network sees {sensor.cfa}: give"
                " --binning=2 for gray of 2x2 photosites"
            )
        if (sensor.bits, sensor.black) != (camera["bits"], camera["black"]):
            found.append(
                f"the camera of {board['name']} has {camera['bits']} bits, black {camera['black']}, the"
                f" network {sensor.bits} bits, black {sensor.black}: collect with it, and train again"
            )
    return found


def _layer(plan: Plan | None, name: str, index: int, size: int) -> dict[str, Any]:
    """What is compared with which tensor of the file, or with which part of it."""
    tensor = plan.network.graph.tensors[index] if plan else None
    if tensor is None or tensor.whole is None:
        return {"name": name, "tensor": index, "bytes": size}
    part = {"first": tensor.first, "channels": tensor.shape[-1], "rows": list(tensor.rows)}
    return {"name": name, "tensor": tensor.whole, "bytes": size, "part": part}


def _scores(model: Path, graph: QuantGraph, made: vectors.Vectors) -> np.ndarray:
    """TFLite's scores of the first test frame."""
    try:
        return verify.Reference(model, graph.input, graph.output, graph.joined).run(made.tensors[0])
    except FirmwareError as error:
        raise LogGradError(str(error)) from None


def _example(board: dict[str, Any], name: str, frame: str) -> dict[str, bytes]:
    """A program round the network without a host's protocol, where there is a port to the board."""
    port = EXAMPLE_PORTS.get(board["name"])
    if port is None:
        return {}
    sources = [FIRMWARE / "example" / file for file in ("main.c", "freertos.c", "port.h", f"port_{port}.c")]
    texts = {f"example/{path.name}": named(path.read_text(), name, prose=True) for path in sources}
    return {path: text.encode() for path, text in (texts | {"example/frame.h": frame}).items()}


_EXAMPLE_ROW = (
    "| `example/` | a program without a host: `cmake --build build --target example`;"
    " with threads: `freertos.c` in place of `main.c` |\n"
)
_STEPS = """ Where no call may block for long, `{name}_feed_row` and `{name}_step` do the same in
steps: {steps}."""


def make_collector(board_name: str, window: Size | None = None, baud: int = BAUD) -> collector.Collector:
    """The project of a collector (see :mod:`export.c.collector`), in memory."""
    board = boards.read(board_name)
    words = [] if window is None else [f"--window={short(window)}"]
    words += [f"--baud={baud}"] * (baud != BAUD)
    command = " ".join(["python -m export.firmware --collect", boards.as_flags(board, short=True), *words])
    return collector.make(board, VERSION, command, window, baud)


def write(project: Project | collector.Collector, out: Path, replace: bool = False) -> None:
    """Put the project at ``out``, whole or not at all.

    Args:
      replace: an earlier project of another board or model, too.
    Raises:
      LogGradError: ``out`` holds such a project, or what is none.
    """
    _check_replaceable(out, (project.board["name"], project.model_sha256, project.form), replace)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as work:
        fresh = Path(work) / "new"
        with files.writing(out):
            if project.form == forms.PROJECT:
                write_folders(project.board["folder"], fresh)
            for name, content in project.files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            files.sync_tree(fresh)
        files.replace_folder(fresh, out)


def write_folders(board: str, folder: Path) -> None:
    """What does not depend on the network: library, board, CMake files and preset."""
    facts = boards.read(board)
    copied = {name: FIRMWARE / name for name in ("lib", "cmake", "boards/common")}
    for name, origin in (copied | {f"boards/{facts['name']}": Path(facts["folder"])}).items():
        for source in sorted(origin.rglob("*")):
            place = folder / name / source.relative_to(origin)
            if source.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif source.name != footprint.CODE_SIZES.name:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, place)
    texts = {"program/main.c": emit.program(), "program/rows.h": emit.rows(), "CMakeLists.txt": emit.cmake()}
    for name, content in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    (folder / "src").mkdir()
    (folder / "CMakePresets.json").write_bytes(emit.presets(facts, BAUD))


def _check_replaceable(out: Path, new: tuple[str, str, str], replace: bool) -> None:
    """Raise LogGradError unless ``out`` may become a project of this board, model and form."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        record = json_base.read(out / "project.json")
    except (OSError, LogGradError):
        record = None
    if not isinstance(record, dict) or "loggrad_project" not in record:
        raise LogGradError(f"--out={out}: exists and is not a firmware project: choose another directory")
    old = record.get("board"), record.get("model_sha256"), record.get("form", forms.PROJECT)
    if old != new and not replace:
        (old_board, old_model), (new_board, new_model) = ((one[0], str(one[1])[:12]) for one in (old, new))
        raise LogGradError(
            f"--out={out}: holds a {old[2]} of board {old_board} and model {old_model}, not of {new_board}"
            f" and {new_model}{'' if old[2] == new[2] else f', a {new[2]}'}: give --replace to replace it, or"
            " another --out"
        )


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()


def main(argv: list[str]) -> None:
    del argv
    if FLAGS.collect:
        _main_collect()
        return
    for name in ("model", "board", "out"):
        if not FLAGS[name].value:
            raise LogGradError(f"--{name} is missing (see --help)")
    out, model = Path(FLAGS.out).absolute(), Path(FLAGS.model)
    board = boards.place(FLAGS.board, FLAGS.boards)
    assert board is not None
    check_name(FLAGS.name)
    if model.is_file():  # before the work
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        form = FLAGS["as"].value
        _check_replaceable(out, (boards.read(board)["name"], sha256, form), FLAGS.replace)
    options = Options(
        vectors=FLAGS.vectors,
        runtime=FLAGS.runtime,
        ram_tables=FLAGS.tables == "ram",
        max_flash=FLAGS.max_flash,
        optimise=FLAGS.optimise,
        arena_bytes=FLAGS.arena_bytes,
        binning=int(FLAGS.binning),
        name=FLAGS.name,
        form=FLAGS["as"].value,
        baud=FLAGS.baud,
    )
    if FLAGS["window"].present:
        raise LogGradError("--window is of a collector: give --collect, or leave it out")
    if options.optimise != DEFAULTS.optimise and options.runtime != DEFAULTS.runtime:
        raise LogGradError(f"--optimise={options.optimise}: of the generated C only: leave out --runtime")
    if options.form != forms.PROJECT and options.runtime != DEFAULTS.runtime:
        raise LogGradError(f"--as={options.form}: of the generated C only: leave out --runtime")
    project = make(model, board, options)
    write(project, out, FLAGS.replace)
    print(project.engine.text)
    print(f"input     {project.source.text}")
    print(f"vectors   {project.note}")
    print(f"predicted {project.engine.footprint.text}")
    if project.engine.steps:
        print(f"steps     {project.engine.steps.text}")
    if project.form != forms.PROJECT:
        print(f"{project.form:9s} {out}: README.md there says how it is used")
        return
    facts = boards.read(board)
    for warning in doubts(project):
        print(f"warning: {warning}", file=sys.stderr)
    step = "verify" if facts["qemu"] or facts["core"] == "host" else "flash"
    print(f"project   {out}: next, python -m firmware.{step} --project={shlex.quote(FLAGS.out)}")


def _main_collect() -> None:
    for name in ("board", "out"):
        if not FLAGS[name].value:
            raise LogGradError(f"--{name} is missing (see --help)")
    if FLAGS.model:
        raise LogGradError("--collect has no network: leave out --model")
    out, board = Path(FLAGS.out).absolute(), boards.place(FLAGS.board, FLAGS.boards)
    assert board is not None
    try:
        window = None if FLAGS.window is None else parsed(FLAGS.window)
    except LogGradError as error:
        raise LogGradError(f"--window: {error}") from None
    made = make_collector(board, window, FLAGS.baud)
    write(made, out, FLAGS.replace)
    rows, columns = sides(made.size)
    print(f"frames    {columns} x {rows} of {made.board['camera']['title']}")
    real = made.board["channel"] == "uart"
    step = "flash" if real else "collect"
    more = "" if real else " --out=SET --label=NAME"
    print(f"project   {out}: next, python -m firmware.{step} --project={shlex.quote(FLAGS.out)}{more}")


if __name__ == "__main__":
    cli.run(main)
