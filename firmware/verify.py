"""Does the board compute what TFLite computes? Every layer of every test frame, bit for bit.

RAW frames go through the image in QEMU; input tensor, every layer and the scores are compared
with TFLite's reference kernels on PROJECT/model.tflite, by CRC-32 and, for the scores, value by value. Writes
PROJECT/certificate.json. Exit code 1 on a mismatch, naming the first layer that differs.
"""

import dataclasses
import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from firmware import build, channel, run
from firmware import project as projects
from firmware.project import FirmwareError, Project


class Reference:
    """TFLite's reference kernels on the project's flatbuffer, every tensor kept."""

    def __init__(self, model: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError:
            raise FirmwareError("the reference is not installed: pip install ai-edge-litert") from None
        try:
            self._interpreter = Interpreter(
                model_path=str(model),
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FirmwareError(f"{model}: does not load in TFLite: {str(error).splitlines()[0]}") from None
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    def run(self, tensor: np.ndarray) -> np.ndarray:
        """int8 input without its batch -> int8 scores; :meth:`layer` then gives every tensor."""
        self._interpreter.set_tensor(self._input["index"], tensor.reshape(self._input["shape"]))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"]).reshape(-1)

    def label(self, scores: np.ndarray) -> int:
        """The class: the first of the largest scores, or whether the only one is above zero."""
        if len(scores) > 1:
            return int(scores.argmax())
        return int(scores[0] > self._output["quantization_parameters"]["zero_points"][0])

    def layer(self, index: int) -> bytes:
        return self._interpreter.get_tensor(index).tobytes()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was compared, and how it came out."""

    board: str
    model_sha256: str
    elf_sha256: str
    vectors: int
    source: str
    mismatches: int
    first_mismatch: str | None
    layers: int
    bytes_compared: int
    instructions: int | None
    ram: int | None
    ram_predicted: int | None
    flash: int | None
    flash_predicted: int | None
    versions: dict[str, str]


def verify(project: Project, timeout: float = channel.ANSWER_SECONDS, progress: bool = False) -> Verdict:
    """Build, run and compare. FirmwareError if the comparison cannot be made."""
    elf = build.build(project)
    sizes = build.sizes(project)
    vectors = run.load_vectors(project)
    model = project.path / "model.tflite"
    reference = Reference(model)
    first: str | None = None
    mismatches = compared = 0
    counts: list[int] = []
    started = time.monotonic()
    with channel.Channel(project, timeout) as board:
        check_stamp(project, board.who(), projects.sha256(model))
        for index, (frame, tensor) in enumerate(zip(vectors.frames, vectors.tensors, strict=True)):
            result = board.classify(frame, layers=True)
            scores = reference.run(tensor)
            difference, count = compare(project, result, scores, reference)
            compared += count
            counts += [result.instructions] if result.instructions is not None else []
            if difference:
                mismatches += 1
                first = first or f"vector {index}, {difference}"
            elapsed = time.monotonic() - started
            if progress and elapsed > 2:
                left = elapsed / (index + 1) * (len(vectors.frames) - index - 1)
                print(
                    f"\r{index + 1}/{len(vectors.frames)}, {left:.0f} s left ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
    if progress and time.monotonic() - started > 2:
        print(file=sys.stderr)
    return Verdict(
        board=project.board["name"],
        model_sha256=project.model_sha256,
        elf_sha256=projects.sha256(elf),
        vectors=len(vectors.frames),
        source=vectors.note,
        mismatches=mismatches,
        first_mismatch=first,
        layers=len(project.layers),
        bytes_compared=compared,
        instructions=max(counts, default=None),
        ram=sizes.ram,
        ram_predicted=project.predicted["ram"],
        flash=sizes.flash,
        flash_predicted=project.predicted["flash"],
        versions=_versions(project),
    )


def check_stamp(project: Project, who: dict[str, str | int], sha256: str) -> None:
    """The image, the project and model.tflite must be of one model."""
    for name, found in (("the image", who["model_sha256"]), ("model.tflite", sha256)):
        if found != project.model_sha256:
            raise FirmwareError(
                f"{name} is of model {str(found)[:12]}, project.json of {project.model_sha256[:12]}:"
                " generate the project again"
            )
    expected = {
        "rows": project.rows,
        "row_codes": project.row_codes,
        "code_digits": 2 * project.code_bytes,
        "layers": len(project.layers),
        "outputs": project.outputs,
    }
    for key, value in expected.items():
        if who[key] != value:
            raise FirmwareError(
                f"the image has {key} = {who[key]}, project.json {value}: generate the project again"
            )


def compare(
    project: Project, result: channel.Result, scores: np.ndarray, reference: Reference
) -> tuple[str | None, int]:
    """(the first difference or None, bytes compared) of one frame."""
    done = [0] * len(project.layers)
    wrong: set[int] = set()
    for piece in result.pieces:
        if not 0 <= piece.layer < len(project.layers):
            raise FirmwareError(
                f"the board reports layer {piece.layer} of {len(project.layers)}: build again"
            )
        start = done[piece.layer]
        expected = reference.layer(project.layers[piece.layer].tensor)[start : start + piece.bytes]
        done[piece.layer] += piece.bytes
        if len(expected) != piece.bytes or zlib.crc32(expected) != piece.crc:
            wrong.add(piece.layer)
    for number, layer in enumerate(project.layers):
        if done[number] != layer.bytes:
            raise FirmwareError(
                f"{layer.name}: the board reports {done[number]} of {layer.bytes} B: build again"
            )
    compared = sum(done) + len(scores)
    if wrong:
        name = project.layers[min(wrong)].name
        return f"layer {name} differs ({len(wrong)} of {len(done)} layers)", compared
    if not np.array_equal(scores, result.scores):
        return f"scores {result.scores.tolist()} differ from {scores.tolist()}", compared
    if result.label != (label := reference.label(scores)):
        return f"class {result.label} differs from {label}, though the scores are equal", compared
    return None, compared


def write_certificate(project: Project, verdict: Verdict) -> None:
    path = project.path / "certificate.json"
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps({"format": 1} | dataclasses.asdict(verdict), indent=1) + "\n")
    os.replace(temporary, path)


def summary(verdict: Verdict) -> dict[str, Any]:
    """What --json prints."""
    return {
        "vectors": verdict.vectors,
        "mismatches": verdict.mismatches,
        "first_mismatch": verdict.first_mismatch,
        "instructions": verdict.instructions,
        "ram": verdict.ram,
        "flash": verdict.flash,
    }


def _versions(project: Project) -> dict[str, str]:
    import importlib.metadata

    found = {"ai-edge-litert": importlib.metadata.version("ai-edge-litert"), "numpy": np.__version__}
    if not project.on_host:
        found["qemu"] = projects.first_line([projects.tool("qemu-system-arm"), "--version"])
        found["gcc"] = projects.first_line([projects.tool("arm-none-eabi-gcc"), "--version"])
    return found


def main() -> int:
    parser = projects.parser(__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of text")
    parser.add_argument(
        "--timeout", type=projects.seconds, default=channel.ANSWER_SECONDS, help="seconds for one answer"
    )
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    verdict = verify(project, arguments.timeout, progress=not arguments.json)
    write_certificate(project, verdict)
    if arguments.json:
        print(json.dumps(summary(verdict)))
    else:
        _print(verdict)
    return 1 if verdict.mismatches else 0


def _print(verdict: Verdict) -> None:
    print(f"model    {verdict.model_sha256}")
    print(f"vectors  {verdict.source}")
    print(f"compared {verdict.layers} layers, {verdict.bytes_compared:,} B")
    if verdict.instructions is not None:
        print(f"executed {verdict.instructions:,} instructions an inference, quantiser included (not cycles)")
    if verdict.ram is not None and verdict.flash is not None:
        print(f"RAM      {verdict.ram:,} B, predicted {verdict.ram_predicted:,}")
        print(f"flash    {verdict.flash:,} B, predicted {verdict.flash_predicted:,}")
    if verdict.first_mismatch:
        print(f"first    {verdict.first_mismatch}")
    print(f"verify: {verdict.vectors} vectors, {verdict.mismatches} mismatches")


if __name__ == "__main__":
    projects.run(main)
