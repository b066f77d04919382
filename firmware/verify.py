"""Does the board compute what TFLite computes? Every layer of every test frame, bit for bit.

The frames go through the image, in QEMU or on a board behind a serial port; input tensor, every layer,
scores and class are compared with TFLite's reference kernels on PROJECT/model.tflite; of a detector every
object with :mod:`loggrad_tf.detect.decode`. The first frame's
layers are compared byte by byte; of the others the board sends one CRC-32 over all bytes of all layers,
in the order of the first, and the bytes themselves only when that differs. Writes PROJECT/certificate.json.
Exit code 1 on a mismatch, naming the first layer and byte that differ, or if the image's RAM is not what
was predicted. Frames with labels make a table of which classes the board took for which: the project's, or
with ``--frames`` the user's own, a folder of photographs by class or a .npz (:mod:`firmware.own_frames`).

``--cycles`` adds the cycles of a frame by layer, estimated from what QEMU executes (:mod:`firmware.cycles`);
on a board behind a serial port they are the board's own, beside what the plan predicts.
"""

import importlib.metadata
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firmware import build, channel, frame_cycles, objects, run
from firmware import project as projects
from firmware.certificate import Verdict, certificate_path, summary, write_certificate
from firmware.mended import mended
from firmware.project import FirmwareError, Project
from loggrad_tf import __version__
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.cells import Cells
from loggrad_tf.detect import decode

SEED = 1  # of the random frames beyond the project's own
MEASURED = 3  # frames whose cost is counted with nothing reported

Order = tuple[tuple[int, int], ...]  # (layer, bytes) of the pieces of a frame


class Reference:
    """TFLite's reference kernels on the project's flatbuffer, every tensor kept.

    Args:
      input_tensor, output_tensor: the int8 tensors at the edges, if they are not the flatbuffer's own. A
        float32 or uint8 input is fed with what its QUANTIZE turns into the int8 values.
      joined: the inputs, if there are several: what is run is then a row of all of them.

    Tensors of uint8 are seen less 128, as the project has them.
    """

    def __init__(
        self,
        model: Path,
        input_tensor: int | None = None,
        output_tensor: int | None = None,
        joined: Sequence[int] = (),
    ) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError:
            raise FirmwareError("the reference is not installed: pip install ai-edge-litert") from None
        try:
            self._interpreter = Interpreter(
                model_content=mended(model.read_bytes(), schema),
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FirmwareError(f"{model}: does not load in TFLite: {str(error).splitlines()[0]}") from None
        tensors = {int(t["index"]): t for t in self._interpreter.get_tensor_details()}
        self._outer = self._interpreter.get_input_details()[0]
        own = self._interpreter.get_output_details()[0]
        try:
            self._joined = [tensors[index] for index in joined]
            self._row = input_tensor if joined else None
            self._inner = self._outer if input_tensor is None or joined else tensors[input_tensor]
            self._output = own if output_tensor is None else tensors[output_tensor]
        except KeyError as error:
            raise FirmwareError(f"{model}: has no tensor {error}: generate the project again") from None
        if not {self._inner["dtype"], self._output["dtype"]} <= {np.int8, np.uint8}:
            raise FirmwareError(f"{model}: its edges are not int8 tensors: generate the project again")

    def run(self, tensor: np.ndarray) -> np.ndarray:
        """int8 input without its batch -> int8 scores; :meth:`layer` then gives every tensor."""
        if self._joined:
            return self._run_joined(np.asarray(tensor, np.int8).reshape(-1))
        inner = np.asarray(tensor, np.int8).reshape(self._inner["shape"])
        self._interpreter.set_tensor(self._outer["index"], self._fed(inner).reshape(self._outer["shape"]))
        self._interpreter.invoke()
        if self._inner is not self._outer and not np.array_equal(self.layer(self._inner["index"]), inner):
            raise FirmwareError("model.tflite: its QUANTIZE cannot give this input tensor")
        return self.layer(self._output["index"]).reshape(-1)

    def _run_joined(self, row: np.ndarray) -> np.ndarray:
        """A row of all inputs -> int8 scores."""
        sizes = [int(np.prod(one["shape"])) for one in self._joined]
        for one, part in zip(self._joined, np.split(row, np.cumsum(sizes)[:-1]), strict=True):
            self._interpreter.set_tensor(one["index"], part.reshape(one["shape"]))
        self._interpreter.invoke()
        return self.layer(self._output["index"]).reshape(-1)

    def _fed(self, inner: np.ndarray) -> np.ndarray:
        """What the flatbuffer's own input must be for its int8 tensor to be ``inner``."""
        kind = self._outer["dtype"]
        if kind == np.uint8:
            return (inner.astype(np.int16) + 128).astype(np.uint8)
        if kind == np.float32:
            scale, zero_point = _signed(self._inner)
            return (inner.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return inner.astype(kind)

    def label(self, scores: np.ndarray) -> int:
        """The class: the first of the largest scores, or whether the only one is above zero."""
        if len(scores) > 1:
            return int(scores.argmax())
        return int(scores[0] > _signed(self._output)[1])

    def layer(self, index: int) -> np.ndarray:
        """A tensor of the flatbuffer, or the row of all inputs, or a piece of that row."""
        if self._row is not None and index >= self._row:
            parts = [self._interpreter.get_tensor(one["index"]).reshape(-1) for one in self._joined]
            return np.concatenate(parts) if index == self._row else parts[index - self._row - 1]
        values: np.ndarray = self._interpreter.get_tensor(index)
        return (values ^ 128).view(np.int8) if values.dtype == np.uint8 else values


def _signed(details: dict[str, Any]) -> tuple[float, int]:
    """Scale and zero point of a tensor, as int8."""
    scale, zero_point = details["quantization"]
    return scale, zero_point - 128 if details["dtype"] == np.uint8 else zero_point


def verify(
    project: Project,
    timeout: float = channel.ANSWER_SECONDS,
    progress: bool = False,
    *,
    count: int | None = None,
    layers: bool = True,
    place: channel.Place | None = None,
    cycles: bool = False,
    own: Path | None = None,
) -> Verdict:
    """Build, run and compare. FirmwareError if the comparison cannot be made, and no certificate then.

    Args:
      count: frames; None: those of vectors.npz, or of ``own``.
      layers: compare every layer, not only scores and class.
      place: where the program runs; QEMU, or this computer for board ``host``, if None.
      cycles: estimate the cycles of :data:`MEASURED` frames by layer; not of a board behind a serial port.
      own: frames of the user's in place of the project's (see :func:`firmware.own_frames.read`).
    """
    serial = bool(place and place.port)
    if cycles and not serial:
        frame_cycles.check(project)
    vectors = run.load_vectors(project)
    if own is not None:
        vectors = _own(project, own, vectors.tensors.shape[1:])
        count = min(count or len(vectors.frames), len(vectors.frames))
    elf = build.build(project, serial)
    sizes = build.sizes(project)
    total = count or len(vectors.frames)
    source = _source(project, vectors, total)
    model = project.path / "model.tflite"
    reference = Reference(model, project.input_tensor, project.output_tensor, project.joined)
    tally = _Tally(project, reference, layers)
    certificate_path(project).unlink(missing_ok=True)
    started = time.monotonic()
    shown = started + 1
    with channel.Channel(project, timeout, place) as board:
        who = board.who()
        check_stamp(project, who, projects.sha256(model))
        for index, (frame, tensor) in enumerate(frames(project, vectors, total)):
            tally.add(board, frame, tensor)
            if progress and time.monotonic() > shown + 1:
                shown = time.monotonic()
                left = (shown - started) / (index + 1) * (total - index - 1)
                print(f"\r{index + 1}/{total}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        stack_used, stack_size = board.memory()
        arena_used = board.arena_used() if project.arena_bytes is not None else None
    if shown > started + 1:
        print(file=sys.stderr)
    first = [one for one, _ in frames(project, vectors, min(total, MEASURED))]
    estimated = frame_cycles.estimate(project, first, timeout) if cycles and not serial else None
    return Verdict(
        board=project.board["name"],
        channel="serial" if serial else "process" if project.on_host else "qemu",
        model_sha256=project.model_sha256,
        stamp=str(who["stamp"]),
        elf_sha256=projects.sha256(elf),
        vectors=total,
        source=source,
        reported="layers" if layers else "scores",
        mismatches=tally.mismatches,
        first_mismatch=tally.first,
        layers=len(project.layers) if layers else 0,
        bytes_compared=tally.compared,
        executed=max((spent for spent, _ in tally.counts), default=None),
        unit=tally.counts[0][1] if tally.counts else None,
        stack_used=stack_used,
        stack_size=stack_size,
        ram=sizes.ram,
        ram_predicted=build.predicted_ram(project, serial),
        flash=sizes.flash,
        flash_predicted=project.predicted["flash"],
        versions=_versions(project, serial),
        confusion=confusion(project, vectors.labels, tally.classes),
        cycles=estimated,
        cycles_predicted=project.cycles,
        arena_used=arena_used,
        objects=sum(map(len, tally.objects)) if project.cells is not None else None,
        found=objects.found(project, vectors.boxes, tally.objects[: len(vectors.frames)]),
    )


def _own(project: Project, place: Path, shape: tuple[int, ...]) -> run.Vectors:
    from firmware import own_frames  # decoders of RAW files take a second to load

    return own_frames.read(project, place, shape)


def confusion(project: Project, labels: np.ndarray, classes: list[int]) -> Confusion | None:
    """Which class the board took which for, of the frames that have labels; None if none has.

    Args:
      labels: integers (N,), below 0 where unknown.
      classes: the board's, of the first frames; beyond the N-th they are of random frames.
    """
    if project.cells is not None:
        return None
    count = max(project.outputs, 2)
    pairs = [
        pair for pair in zip(labels.tolist(), classes, strict=False) if 0 <= min(pair) <= max(pair) < count
    ]
    if not pairs:
        return None
    known, answers = np.array(pairs).T
    return Confusion.of(known, answers, tuple(project.class_name(index) for index in range(count)))


class _Tally:
    """Frames compared so far."""

    def __init__(self, project: Project, reference: Reference, layers: bool) -> None:
        self._project, self._reference, self._layers = project, reference, layers
        self._order: Order = ()
        self.mismatches = self.compared = 0
        self.first: str | None = None
        self.counts: list[tuple[int, str]] = []
        self.classes: list[int] = []
        self.objects: list[np.ndarray] = []
        self._frames = 0

    def add(self, board: channel.Channel, frame: np.ndarray, tensor: np.ndarray) -> None:
        """Run one frame on both sides and compare."""
        scores = self._reference.run(tensor)
        stateful = self._project.stateful
        if self._frames < MEASURED or not self._layers:
            result = board.classify(frame)
            spent = channel.executed(board, result.ticks)
            self.counts += [spent] if spent else []
            if stateful and self._layers:  # the board has seen a frame more
                scores = self._reference.run(tensor)
        if self._layers:
            digest = self._order and not stateful  # a frame that differs cannot be asked for again
            result = board.classify(frame, channel.DIGEST if digest else channel.LAYERS)
        self.classes.append(result.label)
        if result.objects is not None:
            self.objects.append(result.objects)
        order = () if stateful else self._order
        difference, compared = compare(self._project, result, scores, self._reference, order)
        if self._layers and not self._order:
            self._order = tuple((piece.layer, len(piece.data)) for piece in result.pieces)
        self.compared += compared
        if difference:
            self.mismatches += 1
            if self.first is None:
                if not result.pieces and not stateful:
                    again = board.classify(frame, channel.LAYERS)
                    exact = compare(self._project, again, scores, self._reference)[0]
                    difference = exact or f"{difference}, but not when it is repeated"
                self.first = f"vector {self._frames}, {difference}"
        self._frames += 1


def frames(project: Project, vectors: run.Vectors, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(frame, int8 tensor): the project's own, then random ones, the same every time."""
    own = min(count, len(vectors.frames))
    yield from zip(vectors.frames[:own], vectors.tensors[:own], strict=True)
    for index in range(own, count):
        tensor = np.random.default_rng([SEED, index]).integers(
            -128, 128, vectors.tensors.shape[1:], dtype=np.int8
        )
        yield tensor.reshape(project.rows, project.row_codes), tensor


def _source(project: Project, vectors: run.Vectors, count: int) -> str:
    """Where the frames are from; FirmwareError if there are too few and no more can be made."""
    own = len(vectors.frames)
    if count <= own:
        return vectors.note
    if vectors.frames.dtype != np.int8 or project.layers[0].bytes != project.rows * project.row_codes:
        raise FirmwareError(
            f"--vectors={count}: the project has {own} frames, and RAW frames are made by export.firmware:"
            f" generate it with --vectors={count}"
        )
    return f"{vectors.note}; {count - own} random int8 frames, seed {SEED}"


def check_stamp(project: Project, who: dict[str, str | int], sha256: str) -> None:
    """The image, the project and model.tflite must be of one model."""
    for name, found in (("the image", who["model_sha256"]), ("model.tflite", sha256)):
        if found != project.model_sha256:
            raise FirmwareError(
                f"{name} is of model {str(found)[:12]}, project.json of {project.model_sha256[:12]}:"
                " generate the project again"
            )
    expected = {
        "stamp": project.stamp or who["stamp"],
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
    project: Project, result: channel.Result, scores: np.ndarray, reference: Reference, order: Order = ()
) -> tuple[str | None, int]:
    """(the first difference or None, bytes compared) of one frame.

    Args:
      result: with all pieces; or, if ``order`` is given, with the digest of pieces in that order; or with
        neither, if only the scores were asked for.
    """
    difference, compared = None, len(scores)
    if result.pieces:
        difference, found = _compare_pieces(project, result.pieces, reference)
        compared += found
    elif order:
        compared += sum(size for _, size in order)
        if result.digest != _digest(project, reference, order):
            difference = "the digest of the layers differs"
    if difference is None and not np.array_equal(scores, result.scores):
        difference = f"scores {result.scores.tolist()} differ from {scores.tolist()}"
    if difference is None and project.cells is not None:
        difference = _compare_objects(project, project.cells, result, scores)
    elif difference is None and result.label != (label := reference.label(scores)):
        difference = f"class {result.label} differs from {label}, though the scores are equal"
    return difference, compared


def _compare_objects(
    project: Project, cells: Cells, result: channel.Result, scores: np.ndarray
) -> str | None:
    """The first difference between the board's objects and those in the scores, or None."""
    expected = decode.objects(scores.reshape(1, cells.rows, cells.columns, -1), cells.threshold)
    assert result.objects is not None
    if np.array_equal(result.objects, expected):
        return None
    told = [objects.told(project, some) for some in (result.objects, expected)]
    return f"objects {told[0]} differ from {told[1]}, though the scores are equal"


def _compare_pieces(
    project: Project, pieces: tuple[channel.Piece, ...], reference: Reference
) -> tuple[str | None, int]:
    reported = [bytearray() for _ in project.layers]
    for piece in pieces:
        if not 0 <= piece.layer < len(reported):
            raise FirmwareError(f"the board reports layer {piece.layer} of {len(reported)}: build again")
        reported[piece.layer] += piece.data
    wrong = []
    for layer, data in zip(project.layers, reported, strict=True):
        expected = reported_of(reference, layer)
        # Rows that nobody reads are not made: a layer may end early.
        if len(data) != layer.bytes or expected.nbytes < layer.bytes:
            raise FirmwareError(
                f"{layer.name}: the board reports {len(data)} of {layer.bytes} B: build again"
            )
        if data != expected.tobytes()[: layer.bytes]:
            wrong.append(f"layer {layer.name} differs {_where(data, expected)}")
    count = f" ({len(wrong)} of {len(reported)} layers)"
    return (wrong[0] + count if wrong else None), sum(map(len, reported))


def reported_of(reference: Reference, layer: projects.Layer) -> np.ndarray:
    """What the board reports of a layer, as the reference has it."""
    values, part = reference.layer(layer.tensor), layer.part
    if part is None:
        return values
    values = values[..., part.first : part.first + part.channels]
    return values[:, list(part.rows)] if part.rows else values


def _where(data: bytearray, expected: np.ndarray) -> str:
    found = np.frombuffer(data, np.int8)
    at = int(np.flatnonzero(found != expected.reshape(-1)[: found.size])[0])
    place = [int(i) for i in np.unravel_index(at, expected.shape)][1:]
    names = ("row", "column", "channel") if len(place) == 3 else ("element",) * len(place)
    where = ", ".join(f"{name} {i}" for name, i in zip(names, place, strict=True))
    return f"at {where}, byte {at}: {found[at]} for {expected.reshape(-1)[at]}"


def _digest(project: Project, reference: Reference, order: Order) -> int:
    """The CRC-32 of the reference's bytes in the order in which the board makes them."""
    data = [memoryview(reported_of(reference, layer).tobytes()) for layer in project.layers]
    at, crc = [0] * len(data), 0
    for layer, size in order:
        crc = zlib.crc32(data[layer][at[layer] : at[layer] + size], crc)
        at[layer] += size
    return crc


def _versions(project: Project, serial: bool) -> dict[str, str]:
    found = {"loggrad": __version__, "numpy": np.__version__}
    found["ai-edge-litert"] = importlib.metadata.version("ai-edge-litert")
    compiler = "gcc" if project.on_host else "arm-none-eabi-gcc"
    found["gcc"] = projects.first_line([projects.tool(compiler), "--version"])
    if not project.on_host and not serial:
        found["qemu"] = projects.first_line([projects.tool("qemu-system-arm"), "--version"])
    return found


def main() -> int:
    parser = projects.parser(__doc__)
    channel.add_flags(parser)
    parser.add_argument(
        "--vectors", type=projects.count, metavar="N", help="frames (default: those of the project)"
    )
    parser.add_argument(
        "--frames", type=Path, metavar="PATH", help="your own: a folder of photographs by class, or a .npz"
    )
    parser.add_argument(
        "--layers", choices=("crc", "none"), default="crc", help="compare every layer, or only the scores"
    )
    parser.add_argument("--cycles", action="store_true", help="estimate cycles, layer by layer")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of text")
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    verdict = verify(
        project,
        arguments.timeout,
        progress=not arguments.json,
        count=arguments.vectors,
        layers=arguments.layers == "crc",
        place=channel.Place(arguments.port, arguments.baud or project.baud),
        cycles=arguments.cycles,
        own=arguments.frames,
    )
    write_certificate(project, verdict)
    if arguments.json:
        print(json.dumps(summary(verdict)))
    else:
        _print(project, verdict)
    return 0 if verdict.passed else 1


def _print(project: Project, verdict: Verdict) -> None:
    print(f"model    {verdict.model_sha256}")
    print(f"stamp    {verdict.stamp}")
    print(f"vectors  {verdict.source}")
    found = "" if verdict.objects is None else f", {verdict.objects:,} objects"
    print(f"compared {verdict.layers} layers, {verdict.bytes_compared:,} B{found}")
    if verdict.executed is not None:
        note = " (not cycles)" if verdict.unit == "instructions" else ""
        note += f", {verdict.ratio:.3f} of what was predicted" if verdict.ratio else ""
        print(f"executed {verdict.executed:,} {verdict.unit} an inference, quantiser included{note}")
    if verdict.cycles:
        print(f"cycles   {verdict.cycles.total.cycles:,} an inference, estimated without wait states")
        print(f"         by the {verdict.cycles.manual}")
        print(verdict.cycles.text())
    if verdict.stack_size:
        print(f"stack    {verdict.stack_used:,} B of {verdict.stack_size:,}")
    if verdict.arena_used is not None:
        least = verdict.arena_used
        print(f"arena    {least:,} B of {project.arena_bytes:,} used: --arena_bytes={least} or a little more")
    if verdict.ram is not None and verdict.flash is not None:
        print(f"RAM      {verdict.ram:,} B{projects.predicted(verdict.ram_predicted)}")
        print(f"flash    {verdict.flash:,} B{projects.predicted(verdict.flash_predicted)}")
    if verdict.confusion:
        labelled = sum(map(sum, verdict.confusion.counts))
        print(
            f"accuracy {verdict.confusion.accuracy:.2%} of {labelled:,} labelled frames, as the board answers"
        )
        print(verdict.confusion.text())
    if verdict.found:
        print(f"found    {verdict.found.text}, as the board answers")
    if verdict.first_mismatch:
        print(f"first    {verdict.first_mismatch}")
    for complaint in verdict.complaints:
        print(f"note     {complaint}")
    print(f"verify: {verdict.vectors} vectors, {verdict.mismatches} mismatches")


if __name__ == "__main__":
    projects.run(main)
