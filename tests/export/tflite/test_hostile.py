"""Hostile flatbuffers: refused with one line that names the operator, or read as TFLite runs them."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.tflite.graph import parse
from loggrad_tf.errors import LogGradError
from tests.support import graph_reference, hostile, quantized
from tests.support.public_nets import PUBLIC_NETS

NETS = quantized.NETS | PUBLIC_NETS
SECONDS = 2.0


def _net() -> quantized.Net:
    """CONV_2D of tensors 0, 1, 2 to 3; MUL of 3, 4 to 5; two CONV_2D of 5 to 8 and 11; joined to 12."""
    net = quantized.Net(0)
    x = net.conv(net.input((6, 5, 2)), 3)
    y = net.with_constant(x, (3,))
    net.concat([net.conv(y, 4, 1), net.conv(y, 2, 1)])
    return net


def _quantised(
    tensor: int, scale: Any = None, point: Any = None, axis: int | None = None
) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        found = net.tensors[tensor].quantization
        made = schema.QuantizationParametersT()
        made.scale = found.scale if scale is None else np.array(scale, np.float32)
        made.zeroPoint = found.zeroPoint if point is None else np.array(point, np.int64)
        made.quantizedDimension = found.quantizedDimension if axis is None else axis
        net.tensors[tensor].quantization = made

    return change


def _set(tensor: int, **fields: Any) -> Callable[[Any], None]:
    return lambda net: [setattr(net.tensors[tensor], name, value) for name, value in fields.items()] and None


def _shape(tensor: int, *sides: int) -> Callable[[Any], None]:
    return _set(tensor, shape=np.array(sides, np.int32))


def _wired(
    operator: int, inputs: list[int] | None = None, outputs: list[int] | None = None
) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        made = net.operators[operator]
        made.inputs = made.inputs if inputs is None else np.array(inputs, np.int32)
        made.outputs = made.outputs if outputs is None else np.array(outputs, np.int32)

    return change


def _option(operator: int, **fields: Any) -> Callable[[Any], None]:
    return lambda net: [setattr(net.operators[operator].builtinOptions, *f) for f in fields.items()] and None


def _code(operator: int, **fields: Any) -> Callable[[Any], None]:
    return lambda net: [setattr(net.operators[operator], *field) for field in fields.items()] and None


def _data(tensor: int, values: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.asarray(values).tobytes(), np.uint8)
        net.buffers.append(buffer)
        net.tensors[tensor].buffer = len(net.buffers) - 1

    return change


def _options_of(operator: int, other: int) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net.operators[operator].builtinOptions = net.operators[other].builtinOptions
        net.operators[operator].builtinOptionsType = net.operators[other].builtinOptionsType

    return change


def _external(net: Any) -> None:
    net.buffers[net.tensors[1].buffer].offset, net.buffers[net.tensors[1].buffer].size = 4096, 54


def _custom(net: Any) -> None:
    code = schema.BuiltinOperator.CUSTOM
    net.codes.append(code)
    net.operators[1].opcodeIndex = len(net.codes) - 1


CONV, MUL, JOIN = r"operator 0 \(CONV_2D\): ", r"operator 1 \(MUL\): ", r"operator 4 \(CONCATENATION\): "
SPARSE = schema.SparsityParametersT()
SPARSE.traversalOrder = np.array([0], np.int32)
BROKEN: dict[str, tuple[Callable[[Any], None], str]] = {
    "scale nan": (_quantised(3, [np.nan]), CONV + "tensor 3 has a scale"),
    "scale infinite": (_quantised(5, [np.inf]), MUL + "tensor 5 has a scale"),
    "scale denormal": (_quantised(4, [1e-42]), MUL + "tensor 4 has a scale"),
    "scale negative": (_quantised(1, [0.1, -0.1, 0.1]), CONV + "tensor 1 has a scale"),
    "scale zero": (_quantised(0, [0.0]), "input tensor: tensor 0 has a scale"),
    "two scales": (_quantised(3, [0.1, 0.1], [0, 0], 3), CONV + "tensor 3 has 2 scales along axis 3"),
    "no zero point": (_quantised(3, point=[]), CONV + "tensor 3 has 1 scales and 0 zero points"),
    "zero points": (_quantised(1, point=[0, 0]), CONV + "tensor 1 has 3 scales and 2 zero points"),
    "zero point 128": (_quantised(3, point=[128]), CONV + "tensor 3 needs one scale and one zero point"),
    "zero point 2^63": (_quantised(5, point=[2**63 - 1]), MUL + "tensor 5 needs one scale"),
    "axis 4": (_quantised(1, axis=4), CONV + "tensor 1 is quantised along axis 4 of 4"),
    "axis -1": (_quantised(1, axis=-1), CONV + "tensor 1 is quantised along axis -1 of 4"),
    "axis 1": (_quantised(1, axis=1), CONV + "weights are quantised along another axis"),
    "two scales of three": (_quantised(1, [0.1] * 2, [0] * 2, 3), CONV + "2 weight scales for 3 channels"),
    "tiny output scale": (_quantised(3, [1e-10]), CONV + "sums times their scale leave 32 bits"),
    "tiny product scale": (_quantised(5, [1e-10]), MUL + "products times their scale leave 32 bits"),
    "join of two scales": (_quantised(12, [0.7]), JOIN + "input scale"),
    "side 0": (_shape(3, 1, 6, 0, 3), CONV + r"tensor 3 has shape \[1, 6, 0, 3\]"),
    "side 2^31 - 1": (_shape(0, 1, 2**31 - 1, 5, 2), "input tensor: tensor 0 has shape"),
    "sides whose product wraps": (_shape(3, 1, 65536, 65536, 1), CONV + "tensor 3 has shape"),
    "side -1": (_shape(5, 1, -1, 5, 3), MUL + "tensor 5 has shape"),
    "weights' sides": (_shape(1, 3, 3, 3, 3), CONV + "tensor 1 of shape .* needs 81 B, the file holds 54"),
    "weights without sides": (_shape(1), CONV + "tensor 1 has 3 scales along axis 0"),
    "nine sides": (_shape(3, 1, 1, 1, 1, 1, 1, 6, 5, 3), CONV + "tensor 3 has 9 sides"),
    "constant of another size": (_shape(4, 1, 1, 3, 1), MUL + r"shapes .* and \[1, 1, 3, 1\] do not"),
    "constant activation": (_data(3, np.zeros(90, np.int8)), CONV + "tensor 3 is a constant"),
    "constant input": (_data(0, np.zeros(60, np.int8)), "input tensor: tensor 0 is a constant"),
    "computed weights": (_set(1, buffer=0), CONV + "tensor 1 must be a constant"),
    "buffer out of range": (_set(1, buffer=99), CONV + "tensor 1 has buffer 99 of"),
    "buffer -1": (_set(1, buffer=2**32 - 1), CONV + "tensor 1 has buffer 4294967295 of"),
    "buffers swapped": (_set(1, buffer=2), CONV + "tensor 1 of shape .* needs 54 B, the file holds 12"),
    "buffer behind the file": (_external, CONV + "tensor 1 lies behind the flatbuffer"),
    "sparse": (_set(1, sparsity=SPARSE), CONV + "tensor 1 is sparse"),
    "variable": (_set(3, isVariable=True), CONV + "tensor 3 is a variable"),
    "type": (_set(3, type=99), CONV + "tensor 3 is unknown, needs int8"),
    "bias of int64": (_set(2, type=schema.TensorType.INT64), CONV + "constant tensor 2 is int64"),
    "input -1": (_wired(0, [-1, 1, 2]), CONV + "an input is left out"),
    "mul of -1": (_wired(1, [3, -1]), MUL + "input tensor -1 is not computed"),
    "join of -1": (_wired(4, [8, -1]), JOIN + "input tensor -1 is not computed"),
    "input -2": (_wired(0, [0, -2, 2]), CONV + "tensor -2 does not exist"),
    "output out of range": (_wired(0, outputs=[1000]), CONV + "tensor 1000 does not exist"),
    "no bias": (_wired(0, [0, 1]), CONV + "2 inputs, needs 3"),
    "no inputs": (_wired(0, []), CONV + "0 inputs and 1 outputs"),
    "two outputs": (_wired(0, outputs=[3, 3]), CONV + "3 inputs and 2 outputs"),
    "cycle": (_wired(0, [5, 1, 2]), CONV + "input tensor 5 is not computed by an earlier operator"),
    "reads itself": (_wired(1, [5, 4]), MUL + "input tensor 5 is not computed by an earlier operator"),
    "written twice": (_wired(1, outputs=[3]), MUL + "tensor 3 is written twice"),
    "input is written": (_wired(1, outputs=[0]), MUL + "tensor 0 is written twice"),
    "weights are written": (_wired(1, outputs=[1]), r"operator 2 \(CONV_2D\): input tensor 5 is not"),
    "unused operator": (_wired(4, [8, 8]), JOIN + "output is"),
    "options of another type": (_options_of(0, 1), CONV + "options are missing or of another type"),
    "options missing": (_code(1, builtinOptions=None), MUL + "options are missing"),
    "stride -1": (_option(0, strideW=-1), CONV + "kernel .*: must be at least 1"),
    "stride 2^31 - 1": (_option(0, strideH=2**31 - 1), CONV + "kernel .*: too large"),
    "dilation 2^31 - 1": (_option(0, dilationHFactor=2**31 - 1), CONV + "kernel .*: too large"),
    "padding": (_option(0, padding=2), CONV + "padding 2 is neither SAME nor VALID"),
    "activation": (_option(1, fusedActivationFunction=4), MUL + "fused activation TANH"),
    "join with activation": (_option(4, fusedActivationFunction=1), JOIN + "a fused activation"),
    "join of batches": (_option(4, axis=0), JOIN + "axis 0 of 4: the batch cannot grow"),
    "join along rows": (_option(4, axis=1), JOIN + "shapes .* do not fit along axis 1"),
    "axis -5": (_option(4, axis=-5), JOIN + "axis -5 of 4"),
    "code out of range": (_code(1, opcodeIndex=9), "operator 1: has code 9 of"),
    "custom": (_custom, r"operator 1 \(CUSTOM\): not supported"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_an_operator_is_refused_by_its_name(name: str) -> None:
    net = _net()
    out = int(net.operators[-1].outputs[0])
    assert len(parse(net.flatbuffer(out)).ops) == 5
    change, expected = BROKEN[name]
    change(net)
    with pytest.raises(LogGradError, match="model: " + expected) as caught:
        parse(net.flatbuffer(out))
    assert "\n" not in str(caught.value)


def _model() -> Any:
    return schema.ModelT.InitFromPackedBuf(bytearray(quantized.serial()), 0)


def test_models_as_a_whole_are_checked() -> None:
    for count in (0, 2):
        model = _model()
        model.subgraphs *= count
        with pytest.raises(LogGradError, match=f"{count} subgraphs, one is supported"):
            parse(hostile.packed(model))
    for inputs, outputs in (([0] * 9, [3]), ([], [3]), ([0], []), ([0], [5] * 33)):
        model = _model()
        model.subgraphs[0].inputs, model.subgraphs[0].outputs = np.array(inputs), np.array(outputs)
        with pytest.raises(LogGradError, match=f"{len(inputs)} inputs, {len(outputs)} outputs"):
            parse(hostile.packed(model))
    for inputs, reason in (
        ([0, 0], "one tensor is two of them"),
        ([0, 1], "tensor 1 is a constant|needs int8"),
    ):
        model = _model()
        model.subgraphs[0].inputs = np.array(inputs, np.int32)
        with pytest.raises(LogGradError, match=f"model: inputs: .*({reason})"):
            parse(hostile.packed(model))
    net = quantized.Net(1)
    first, second = net.input((4, 4, 2)), net.input((3,))
    with pytest.raises(LogGradError, match=f"nothing reads tensor {second}: remove it"):
        parse(net.flatbuffer(net.dense(net.mean(first), 2), [first, second]))
    model = _model()
    model.operatorCodes[0].version = 17
    with pytest.raises(LogGradError, match="operator 0: version 17 of CONV_2D: 1 to 16 are known"):
        parse(hostile.packed(model))
    model = _model()
    model.subgraphs[0].operators.append(model.subgraphs[0].operators[0])
    with pytest.raises(LogGradError, match=r"operator 6 \(CONV_2D\): tensor 3 is written twice"):
        parse(hostile.packed(model))
    model = _model()
    model.subgraphs[0].operators.pop()
    with pytest.raises(LogGradError, match="the output tensor is not computed by any operator"):
        parse(hostile.packed(model))


def test_signatures_and_metadata_change_nothing() -> None:
    model = _model()
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 7
    model.signatureDefs = [signature]
    model.metadataBuffer = np.array([2**31 - 1], np.int32)
    assert len(parse(hostile.packed(model)).ops) == len(parse(quantized.serial()).ops)


def test_edges_stand_at_the_edges() -> None:
    """Float in, CONV_2D, ..., DEQUANTIZE: the order of the file is the order of TFLite."""
    for move, error in (
        ((0, 2), r"operator 0 \(CONV_2D\): stands ahead of operator 2, which converts the input"),
        ((-1, 0), r"operator 0 \(DEQUANTIZE\): input tensor \d+ is not computed by an earlier operator"),
    ):
        model = schema.ModelT.InitFromPackedBuf(bytearray(PUBLIC_NETS["float_edges"]()), 0)
        operators = model.subgraphs[0].operators
        operators.insert(move[1], operators.pop(move[0]))
        with pytest.raises(LogGradError, match=error):
            parse(hostile.packed(model))


def test_names_of_a_file_are_harmless() -> None:
    net = _net()
    out = int(net.operators[-1].outputs[0])
    net.tensors[3].name = b"*/ exit(1); /*\n\\\xff" + b"x" * 5000
    graph = parse(net.flatbuffer(out))
    assert re.fullmatch(r"[\w .:;/-]{1,200}", graph.tensors[3].name) and "*/" not in graph.tensors[3].name


@pytest.mark.seconds
def test_what_is_shared_is_counted() -> None:
    """4096 layers that read the same 16 MiB, or vectors that claim more than the file: refused at once."""
    net = quantized.Net(0)
    x = net.input((4096,))
    weights = net.constant(np.zeros((4096, 4096), np.int8), [0.1])
    options = schema.FullyConnectedOptionsT()
    for _ in range(4000):
        y = net.tensor((4096,), 0.1)
        kind = schema.BuiltinOptions.FullyConnectedOptions
        x = net.operator(schema.BuiltinOperator.FULLY_CONNECTED, kind, options, [x, weights], y)
    content = net.flatbuffer(x)
    begin = time.process_time()
    with pytest.raises(LogGradError, match=r"operator 7 .* too much of the file is shared"):
        parse(content)
    assert time.process_time() - begin < 5


def _refused_or_accepted(files: list[bytes]) -> list[bytes]:
    """The files that are read; every other is refused with one line, at once."""
    accepted = []
    for data in files:
        begin = time.process_time()
        try:
            parse(data)
            accepted.append(data)
        except LogGradError as error:
            assert "\n" not in str(error) and str(error).startswith("model: ")
        assert time.process_time() - begin < SECONDS
    return accepted


def _changed(contents: list[bytes], count: int, seed: int) -> list[bytes]:
    random = np.random.default_rng(seed)
    files = []
    while len(files) < count:
        change = hostile.changed_bytes if random.integers(2) else hostile.changed_model
        try:
            files.append(change(contents[len(files) % len(contents)], random))
        except (TypeError, IndexError):  # what the flatbuffer cannot hold
            continue
    return files


def _check(contents: list[bytes], count: int, seed: int, folder: Path) -> None:
    accepted = _refused_or_accepted(_changed(contents, count, seed))
    assert count / 20 < len(accepted) < count * 0.8
    answers = graph_reference.compare(accepted, folder)
    assert set(answers) <= {"equal", "refused", "costly"}
    assert answers.count("equal") > len(answers) / 2


@pytest.mark.seconds
def test_a_changed_file_is_refused_or_computes_what_tflite_computes(tmp_path: Path) -> None:
    _check([build() for build in NETS.values()], 250, 0, tmp_path)


@pytest.mark.slow
def test_many_changed_files(tmp_path: Path) -> None:
    _check([build() for build in NETS.values()], 4000, 1, tmp_path)


@pytest.mark.seconds
def test_a_changed_public_file(shared: Path, tmp_path: Path) -> None:
    _check([(shared / "models" / "vww_96_int8.tflite").read_bytes()], 20, 2, tmp_path)


def test_cut_files_are_refused() -> None:
    for build in (quantized.branched, PUBLIC_NETS["float_edges"]):
        data = build()
        assert not _refused_or_accepted([data[:cut] for cut in range(0, len(data) - 8, 97)])
