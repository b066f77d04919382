"""``python -m export.firmware --model model.tflite --board mps2-an386 --out DIR``: a firmware project.

Writes a CMake project that needs nothing of this repository: the network as C, the library, the
board's folder, test vectors. ``model.json`` beside the model says what RAW is and how it becomes the
input tensor; without it the project takes rows of the int8 input tensor. Prints the memory plan, and
refuses a network that does not fit the board.
"""

import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from export import emit, footprint, front, schedule, tflite_graph, vectors
from export import plan as planning
from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from loggrad_tf.frontend import FrontEnd

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "The int8 flatbuffer; model.json is looked for beside it.")
flags.DEFINE_string("board", None, "A folder of firmware/boards.")
flags.DEFINE_string("out", None, "Directory of the project; an earlier project there is replaced.")
flags.DEFINE_integer("vectors", 16, "Test frames to put into the project.", lower_bound=1, upper_bound=10000)

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware"
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Project:
    """Everything that goes to disk, and the numbers to print."""

    board: str
    files: dict[str, bytes]
    plan: planning.Plan
    source: front.Input
    footprint: footprint.Footprint
    note: str


def boards() -> list[str]:
    """Names of the boards there are."""
    return sorted(p.parent.name for p in (FIRMWARE / "boards").glob("*/board.json"))


def read_board(name: str | None) -> dict[str, Any]:
    if name not in boards():
        raise LogGradError(f"--board={name}: no such board; choose one of {', '.join(boards())}")
    return json.loads((FIRMWARE / "boards" / str(name) / "board.json").read_text())


def read_description(model: Path, sha256: str) -> dict[str, Any] | None:
    """model.json beside the model, or None; it must describe this very file."""
    path = model.with_name("model.json")
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text())
        FrontEnd.from_json(description["front_end"])
        found, names, data = description["model_sha256"], description["class_names"], description.get("data")
        if not isinstance(names, list) or not (data is None or {"spec", "size", "mode"} <= data.keys()):
            raise ValueError("class_names or data")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogGradError(
            f"{path}: cannot be read ({type(error).__name__}: {error}): convert again"
        ) from None
    if found != sha256:
        raise LogGradError(
            f"{path}: describes another model than {model.name} ({sha256[:12]}): convert again"
        )
    return description


def make(model: Path, board_name: str, count: int) -> Project:
    """Generate the project for one model and one board, in memory."""
    board = read_board(board_name)
    if not model.is_file():
        raise LogGradError(f"--model={model}: no such file; export.convert writes model.tflite")
    graph = schedule.reorder(tflite_graph.load(model))
    description = read_description(model, graph.sha256)
    front_end = FrontEnd.from_json(description["front_end"]) if description else None
    tensor = graph.tensors[graph.input]
    source = front.describe(front_end, tensor.shape, tensor.scale, tensor.zero_point)
    classes = tuple(str(name) for name in description["class_names"]) if description else ()
    outputs = graph.tensors[graph.output].size
    if classes and len(classes) != max(outputs, 2):
        raise LogGradError(f"model.json: {len(classes)} class names for {outputs} outputs: convert again")
    planned = planning.plan(graph)
    predicted = footprint.predict(graph, planned, source, board)
    predicted.check(board)
    command = f"python -m export.firmware --model={model.name} --board={board_name}"
    sources = emit.emit(graph, planned, source, classes, command)
    made = vectors.make(source, (description or {}).get("data"), count)
    output = graph.tensors[graph.output]
    record = {
        "loggrad_project": VERSION,
        "board": board_name,
        "command": command,
        "model_sha256": graph.sha256,
        "input": source.text,
        "rows": source.rows,
        "row_codes": source.row_codes,
        "code_bytes": source.code_bytes,
        "layers": [
            {"name": name, "tensor": index, "bytes": graph.tensors[index].size}
            for name, index in emit.layers(graph)
        ],
        "output_scale": output.scale,
        "output_zero_point": output.zero_point,
        "outputs": outputs,
        "class_names": list(classes),
        "state_bytes": emit.state_bytes(planned, source),
        "predicted": dataclasses.asdict(predicted),
    }
    readme = {
        "TITLE": f"{model.name} on {board['title']}",
        "INPUT": source.text,
        "SHA": graph.sha256,
        "BOARD": board_name,
        "PREDICTED": predicted.text,
        "ROWS": source.rows,
        "CODES": source.row_codes,
        "TYPE": source.code_type,
    }
    files = {f"src/{name}": text.encode() for name, text in sources.items()}
    files |= {
        "README.md": _fill((emit.TEMPLATES / "README.md.in").read_text(), readme).encode(),
        "project.json": _json(record),
        "model.tflite": model.read_bytes(),
        "vectors.npz": made.npz(),
    }
    if description:
        files["model.json"] = model.with_name("model.json").read_bytes()
    return Project(board_name, files, planned, source, predicted, f"{len(made.frames)}: {made.note}")


def write(project: Project, out: Path) -> None:
    """Put the project at ``out``, whole or not at all."""
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as work:
        fresh, old = Path(work) / "new", Path(work) / "old"
        write_folders(project.board, fresh)
        for name, content in project.files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            os.replace(out, old)
        os.replace(fresh, out)


def write_folders(board: str, folder: Path) -> None:
    """What does not depend on the network: library, board, CMake files and preset."""
    for name in ("lib", "cmake", "boards/common", f"boards/{board}"):
        shutil.copytree(FIRMWARE / name, folder / name)
    (folder / "src").mkdir()
    shutil.copy(emit.TEMPLATES / "CMakeLists.txt", folder)
    (folder / "CMakePresets.json").write_bytes(_json(_presets(board, read_board(board)["qemu"] is None)))


def _check_replaceable(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        ours = "loggrad_project" in json.loads((out / "project.json").read_text())
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise LogGradError(f"--out={out}: exists and is not a firmware project: choose another directory")


def _presets(board: str, host: bool) -> dict[str, Any]:
    preset = {
        "name": board,
        "generator": "Ninja",
        "binaryDir": "${sourceDir}/build",
        "cacheVariables": {"LG_BOARD": board},
    }
    if not host:
        preset["toolchainFile"] = "${sourceDir}/cmake/arm-none-eabi.cmake"
    return {
        "version": 3,
        "configurePresets": [preset],
        "buildPresets": [{"name": board, "configurePreset": board}],
    }


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()


def _fill(text: str, values: dict[str, Any]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: str(values[match[1]]), text)


def main(argv: list[str]) -> None:
    del argv
    for name in ("model", "board", "out"):
        if not FLAGS[name].value:
            raise LogGradError(f"--{name} is missing (see --help)")
    out = Path(FLAGS.out).absolute()
    _check_replaceable(out)
    project = make(Path(FLAGS.model), FLAGS.board, FLAGS.vectors)
    write(project, out)
    print(project.plan.table())
    print(f"input     {project.source.text}")
    print(f"vectors   {project.note}")
    print(f"predicted {project.footprint.text}")
    print(f"project   {out}: next, python -m firmware.verify --project={FLAGS.out}")


if __name__ == "__main__":
    cli.run(main)
