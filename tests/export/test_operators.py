"""Operators that few networks have, in random networks: built under sanitizers, every layer compared."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export import firmware
from export.plan.lengthwise import lengthwise
from export.plan.nodes import build
from export.plan.plan import plan
from export.tflite import graph as tflite_graph
from export.tflite.quant_graph import quantize_scale
from firmware import project, verify
from firmware.project import Project
from loggrad_tf.errors import LogGradError
from tests.support import quantized
from tests.support.operator_nets import OPERATOR_NETS, bytewise, mean, start, streaming

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"


def generate(out: Path, content: bytes, board: str = "host", count: int = 3) -> Project:
    model = out.with_suffix(".tflite")
    model.write_bytes(content)
    firmware.write(firmware.make(model, board, firmware.Options(count)), out)
    return project.load(out)


@pytest.mark.seconds
@pytest.mark.parametrize("name", OPERATOR_NETS)
def test_every_layer_equals_the_reference(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", SANITIZE)
    for seed in range(2):
        verdict = verify.verify(generate(tmp_path / str(seed), OPERATOR_NETS[name](seed)))
        assert verdict.mismatches == 0, f"seed {seed}: {verdict.first_mismatch}"


@pytest.mark.qemu
@pytest.mark.parametrize("name", OPERATOR_NETS)
def test_they_run_on_a_board(name: str, tmp_path: Path) -> None:
    verdict = verify.verify(generate(tmp_path / "p", OPERATOR_NETS[name](7), "mps2-an386"))
    assert verdict.passed, verdict.first_mismatch or verdict.complaints
    if name == "streaming":
        assert verdict.complaints == []


def compiled(made: Project, text: str, work: Path) -> subprocess.CompletedProcess[str]:
    """A program round the network of a project, built under sanitizers and run."""
    (work / "test.c").write_text(text)
    sources = [made.path / "src" / "net.c", made.path / "src" / "net_weights.c", work / "test.c"]
    sources += sorted((made.path / "lib" / "src").glob("*.c"))
    includes = [f"-I{made.path / folder}" for folder in ("src", "lib/include")]
    command = ["gcc", *SANITIZE.split(), *includes, *map(str, sources), "-o", str(work / "test")]
    subprocess.run(command, check=True, capture_output=True)
    return subprocess.run([str(work / "test")], check=True, capture_output=True, text=True)


@pytest.mark.seconds
def test_further_outputs_are_there_behind_the_last_row(tmp_path: Path) -> None:
    net, _, x = start(1, (7, 5, 3))
    second, third = net.conv(x, 3, 1), mean(net, x, (1, 2))
    made = generate(tmp_path / "p", net.flatbuffer([net.dense(x, 4), second, third]), count=1)
    frame, tensor = (np.load(made.path / "vectors.npz")[name][0] for name in ("frames", "tensors"))
    reference = verify.Reference(made.path / "model.tflite", made.input_tensor, made.output_tensor)
    scores = reference.run(tensor)
    expected = [scores, reference.layer(second).reshape(-1), reference.layer(third).reshape(-1)]
    rows = ", ".join(map(str, frame.reshape(-1)))
    text = f"""#include <stdio.h>
#include "net.h"
static net_state net;
static const net_code frame[] = {{{rows}}};
int main(void)
{{
    int wrong = net_init(&net, sizeof net, NET_MODEL_SHA256, NULL) != LG_OK;
    for (uint32_t y = 0; y < NET_ROWS; y++) {{
        wrong |= net_further_output(&net, 1u) != NULL;
        net_push_row(&net, frame + y * NET_ROW_CODES, NET_ROW_CODES);
    }}
    const int8_t *out;
    wrong |= NET_FURTHER_OUTPUTS != 2 || net_scores(&net, &out) != LG_OK;
    wrong |= net_further_output(&net, 0u) != NULL || net_further_output(&net, 3u) != NULL;
    for (int i = 0; i < {len(expected[0])}; i++) printf("%d ", out[i]);
    for (int i = 0; i < {len(expected[1])}; i++) printf("%d ", net_further_output(&net, 1u)[i]);
    for (int i = 0; i < {len(expected[2])}; i++) printf("%d ", net_further_output(&net, 2u)[i]);
    return wrong;
}}
"""
    found = compiled(made, text, tmp_path).stdout.split()
    assert [int(value) for value in found] == np.concatenate(expected).tolist()


@pytest.mark.seconds
def test_a_long_softmax_is_that_of_the_fixed_point(tmp_path: Path) -> None:
    """Rows in which a value comes out otherwise in float; of 512 or more that are alike, at which TFLite's
    reference ends its process, all come out as nothing."""
    net = quantized.Net(0)
    made = generate(tmp_path / "p", net.flatbuffer(net.softmax(net.input((1001,), 0.125))), count=1)
    reference = verify.Reference(made.path / "model.tflite", made.input_tensor, made.output_tensor)
    drawn = [np.random.default_rng(seed).normal(0, 40, 1001) for seed in (409, 598, 678, 699)]
    rows = [row.clip(-128, 127).astype(np.int8) for row in drawn]
    expected = [reference.run(row).reshape(-1).astype(int) for row in rows]
    for row, scores in zip(rows, expected, strict=True):
        terms = np.exp(np.float32(0.125) * (row.astype(np.float32) - row.max()))
        assert np.any(np.round(256 * terms / np.cumsum(terms)[-1]).clip(0, 255) - 128 != scores)
    frames = ",\n".join("{" + ", ".join(map(str, row)) + "}" for row in [*rows, np.full(1001, 5)])
    text = f"""#include <stdio.h>
#include "net.h"
static net_state net;
static const net_code frames[5][1001] = {{{frames}}};
int main(void)
{{
    net_init(&net, sizeof net, NET_MODEL_SHA256, NULL);
    for (int i = 0; i < 5; i++) {{
        const int8_t *scores;
        net_begin(&net);
        for (uint32_t y = 0; y < NET_ROWS; y++) {{
            net_push_row(&net, frames[i] + y * NET_ROW_CODES, NET_ROW_CODES);
        }}
        net_scores(&net, &scores);
        for (uint32_t k = 0; k < NET_OUTPUTS; k++) printf("%d ", scores[k]);
    }}
    return 0;
}}
"""
    found = compiled(made, text, tmp_path).stdout.split()
    assert [int(value) for value in found] == np.concatenate([*expected, np.full(1001, -128)]).tolist()


@pytest.mark.seconds
def test_states_survive_frames_and_are_forgotten_on_request(tmp_path: Path) -> None:
    """The same frame three times has other scores each time; after a reset, and after a frame that was not
    finished, those of before."""
    made = generate(tmp_path / "p", streaming(2), count=1)
    assert made.stateful == 1
    frame = np.load(made.path / "vectors.npz")["frames"][0]
    rows = ", ".join(map(str, frame.reshape(-1)))
    text = f"""#include <stdio.h>
#include "net.h"
static net_state net;
static const net_code frame[] = {{{rows}}};
static void classify(uint32_t count)
{{
    const int8_t *scores;
    net_begin(&net);
    for (uint32_t y = 0; y < count; y++) {{
        net_push_row(&net, frame + y * NET_ROW_CODES, NET_ROW_CODES);
    }}
    if (net_scores(&net, &scores) == LG_OK) {{
        for (uint32_t i = 0; i < NET_OUTPUTS; i++) printf("%d ", scores[i]);
        printf("\\n");
    }}
}}
int main(void)
{{
    net_init(&net, sizeof net, NET_MODEL_SHA256, NULL);
    for (int i = 0; i < 3; i++) classify(NET_ROWS);
    net_reset(&net);
    classify(NET_ROWS);
    classify(NET_ROWS - 1u);
    classify(NET_ROWS);
    return 0;
}}
"""
    first, second, third, again, next_ = compiled(made, text, tmp_path).stdout.splitlines()
    assert len({first, second, third}) == 3
    assert (again, next_) == (first, second)


def test_a_sequence_streams_along_its_length() -> None:
    graph = tflite_graph.parse(OPERATOR_NETS["sequence"](3))
    turned = lengthwise(graph)
    lying, standing = build(graph), build(turned)
    assert lying.maps[lying.input].height == 1 < standing.maps[standing.input].height
    assert {key: tensor.size for key, tensor in turned.tensors.items()} == {
        key: tensor.size for key, tensor in graph.tensors.items()
    }
    assert lengthwise(turned) is turned


def test_long_sequences_take_little_memory_and_maps_stay_as_they_are() -> None:
    net = quantized.Net(0)
    x = net.conv(net.conv(net.input((1, 500, 4)), 8, (1, 5)), 8, (1, 3), (1, 2))
    graph = tflite_graph.parse(net.flatbuffer(net.mean(x)))
    assert plan(lengthwise(graph)).arena_bytes < plan(graph).arena_bytes / 20
    plain = tflite_graph.parse(quantized.separable())
    assert lengthwise(plain) is plain


def test_bytes_are_said_to_be_128_less(tmp_path: Path) -> None:
    made = generate(tmp_path / "p", OPERATOR_NETS["bytewise"](0), count=1)
    note = "each the model's uint8 less 128"
    assert note in json.loads((made.path / "project.json").read_text())["input"]
    assert note in (made.path / "src" / "net.c").read_text()


def test_a_network_whose_rows_do_not_fit_is_refused_before_it_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = quantized.Net(0)
    x = net.conv(net.input((4, 60000, 1)), 4, 3)
    monkeypatch.setattr(firmware.footprint, "plan", lambda *_: pytest.fail("planned"))
    with pytest.raises(LogGradError, match=r"RAM: one row of the network .* B, microbit has 16384 B"):
        generate(tmp_path / "p", net.flatbuffer(x), "microbit")


def test_convolutions_of_uint8_have_their_scales_multiplied_in_float32() -> None:
    """As TFLite does, unlike for int8: one output in a million tells."""
    told_apart = 0
    for seed in range(4):
        content = bytewise(seed)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
        tensors = model.subgraphs[0].tensors
        for op in tflite_graph.parse(content).ops:
            operator = next(o for o in model.subgraphs[0].operators if o.outputs[0] == op.output)
            if op.kind not in ("conv", "depthwise") or len(operator.inputs) != 3:
                continue
            source, weights = (tensors[i].quantization.scale[0] for i in operator.inputs[:2])
            out = float(tensors[op.output].quantization.scale[0])
            single = quantize_scale(float(np.float32(source) * np.float32(weights)) / out)
            assert set(op.scales) == {single}
            told_apart += quantize_scale(float(source) * float(weights) / out) != single
    assert told_apart > 0
