"""export.predict.pipeline and export.energy: energy by stage, against what was published and what adds up."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from export import boards
from export.predict import pipeline, power
from export.predict.deployed import deployed
from export.predict.pipeline import compared, factor
from export.predict.power import Constant
from export.quantization.nominal import nominal
from loggrad_tf.data.request import DataReference
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from models import zoo
from models.graph import Graph
from models.graph import macs as graph_macs
from tests.support import REPOSITORY

WAKE_WORDS = REPOSITORY.parent / "shared" / "models" / "vww_96_int8.tflite"
M4, M33 = "mps2-an386", "mps2-an505"
GRAPH = zoo.small_bn(96, 3)


def _made(
    name: str, board: str | None = None, emulated: bool = False, bits: int = 12, graph: Graph = GRAPH
) -> pipeline.Pipeline:
    front_end = fixed(name, Sensor(bits, 0, 2**bits - 1))
    return pipeline.pipeline(nominal(graph, front_end), front_end, board, emulated)


def _nanojoules(found: pipeline.Pipeline, *names: str) -> float:
    """Nominal, per pixel, of the named stages."""
    return sum(1e9 * s.joules.nominal / found.pixels for s in found.stages if s.name in names)


@pytest.mark.parametrize(
    ("part", "millijoules"), [("STM32L4R5", 3.9), ("STM32H7A3", 3.0), ("STM32U575", 1.35), ("xG24", 1.14)]
)
def test_wake_words_of_published_entries(part: str, millijoules: float) -> None:
    """MLPerf Tiny, 7.49 MMAC; the cycle's energy over MACs a cycle says the same."""
    found = power.published(power.WAKE_WORDS_MACS, part)
    assert 1e3 * found.nominal == pytest.approx(millijoules, rel=0.1)
    assert found.low < found.nominal < found.high
    cycle, macs = {
        "STM32L4R5": (365, 0.70), "STM32H7A3": (445, 1.12), "STM32U575": (143, 0.79), "xG24": (131, 0.86),
    }[part]  # fmt: skip
    assert 1e12 * found.nominal / power.WAKE_WORDS_MACS == pytest.approx(cycle / macs, rel=0.02)


def test_wake_words_on_this_engine_take_what_a_published_entry_takes_a_cycle() -> None:
    if not WAKE_WORDS.is_file():
        pytest.skip("the public network vww_96_int8.tflite is not there")
    from export.tflite import graph as tflite_graph

    network = tflite_graph.load(WAKE_WORDS)
    assert pipeline.macs(network) == pytest.approx(power.WAKE_WORDS_MACS, rel=0.005)
    # The entry of the M4 takes 10.73 M cycles (X-CUBE-AI 10.2), this engine 13.17 M; of the M33 none is told.
    for board, part, cycles in ((M4, "STM32L4R5", 13.17 / 10.73), (M33, "STM32U575", 1.0)):
        [found] = compared(network, None, board)
        published = power.published(power.WAKE_WORDS_MACS, part).nominal
        cnn = found.stages[-1].joules
        assert cnn.low < published < cnn.high
        assert cnn.nominal == pytest.approx(published * cycles, rel=0.2)


def test_published_sensors_isp_and_processors() -> None:
    chip = _made("loggrad_1p5")
    assert _nanojoules(chip, "sensor") == pytest.approx(0.13)
    sensor = chip.stages[0].joules
    assert 1e9 * sensor.low / chip.pixels == pytest.approx(0.099), "JSSC'19"
    for name in ("jpeg8", "raw16"):
        usual = _made(name, bits=10)
        whole = [s.joules for s in usual.stages if s.name in ("sensor", "ADC")]
        ends = [sum(getattr(c, end) for c in whole) for end in ("low", "high")]
        assert [1e9 * v / usual.pixels for v in ends] == pytest.approx([0.2, 2.0]), (
            "the paper's, ADC included"
        )
    # The mixed-signal processor that the paper cites: 3.8 uJ an image of 32x32.
    assert pipeline.CNN_PIXEL.low < 3.8e3 / 32**2 < pipeline.CNN_PIXEL.high
    # Pianissimo, 40 nm, 8 bit: 0.49 to 1.25 TOPS/W, two operations a multiply-accumulate.
    assert pipeline.MAC.low < 2 / 1.25 < pipeline.MAC.nominal < 2 / 0.49 < pipeline.MAC.high


def test_isp_of_isscc20() -> None:
    jpeg = _made("jpeg8")
    isp = next(s.joules for s in jpeg.stages if s.name == "ISP")
    assert isp.low == pytest.approx(0.98e-9 * 96 * 96)
    # Even with that one its path takes more than RAW's.
    assert jpeg.total.nominal - isp.nominal + isp.low > _made("raw16").total.nominal


@pytest.mark.parametrize("graph", [GRAPH, zoo.two_conv_one_fc(96, 3)])
def test_an_accelerator_takes_most_from_jpeg_and_least_from_log_gradients(graph: Graph) -> None:
    jpeg, raw, gradient = (
        _made(name, graph=graph).total.nominal for name in ("jpeg8", "raw16", "loggrad_1p5")
    )
    assert jpeg > raw > gradient


@pytest.mark.parametrize("board", [M4, M33])
def test_a_microcontroller_spends_most_on_the_network(board: str) -> None:
    jpeg, gradient, emulated = (
        _made("jpeg8", board),
        _made("loggrad_1p5", board),
        _made("loggrad_1p5", board, emulated=True),
    )
    for found in (jpeg, gradient):
        assert found.share(found.stages[-1]) > 0.9
    camera = ("sensor", "ADC", "link", "ISP")
    saved = _nanojoules(jpeg, *camera) - _nanojoules(gradient, *camera)
    assert _nanojoules(emulated, "front end") > saved > 0, (
        "the board cannot make them for what a sensor saves"
    )


def test_depth_decides_what_raw_takes() -> None:
    by_bits = [_made("raw16", bits=bits) for bits in (8, 10, 12, 14, 16)]
    conversion = [_nanojoules(found, "ADC") for found in by_bits]
    assert [b / a for a, b in zip(conversion, conversion[1:], strict=False)] == pytest.approx([4.0] * 4)
    assert [round(_nanojoules(f, "link") / 0.016) for f in by_bits] == [8, 16, 16, 16, 16]
    assert by_bits[-1].total.nominal > _made("jpeg8").total.nominal, "16 bits cost more than an ISP"


def test_packed_bits_of_levels() -> None:
    assert [pipeline.packed_bits(n) for n in (1, 2, 3)] == [2, 3, 3]
    for name, bits in (("loggrad_1p5", 2), ("loggrad_2p25", 3), ("loggrad_2p75", 3)):
        assert _nanojoules(_made(name), "link") == pytest.approx(0.016 * bits)


def test_totals_are_sums_end_by_end() -> None:
    for found in (_made("jpeg8"), _made("raw16", M4), _made("loggrad_2p25", M33, emulated=True)):
        for end in ("low", "nominal", "high"):
            assert getattr(found.total, end) == pytest.approx(
                sum(getattr(s.joules, end) for s in found.stages)
            )
        assert sum(found.share(stage) for stage in found.stages) == pytest.approx(1)
        names = [s.name for s in found.stages]
        assert names == [n for n in pipeline.STAGES if n in names]
        assert all(0 < s.joules.low <= s.joules.nominal <= s.joules.high for s in found.stages)


@pytest.mark.parametrize("name", ["loggrad_1p5", "loggrad_fp", "jpeg8"])
def test_emulated_is_what_the_generated_c_takes(name: str) -> None:
    """Front end and network together are the energy that a search counts."""
    front_end, found = fixed(name, Sensor()), _made(name, M4, emulated=True)
    assert [s.name for s in found.stages[-2:]] == ["front end", "CNN"]
    joules = sum(s.joules.nominal for s in found.stages[-2:])
    assert joules == pytest.approx(deployed(GRAPH, front_end, M4).energy)


def test_work_of_an_accelerator_is_the_graphs() -> None:
    front_end = fixed("jpeg8", Sensor())
    weighted = [op for op in GRAPH.ops if op.kind in ("conv", "depthwise", "dense")]
    assert pipeline.macs(nominal(GRAPH, front_end)) == sum(graph_macs(GRAPH, op) for op in weighted)


def test_what_is_compared() -> None:
    def titles(name: str, board: str | None) -> list[str]:
        front_end = fixed(name, Sensor())
        return [p.title for p in compared(nominal(GRAPH, front_end), front_end, board)]

    assert titles("loggrad_1p5", M4) == [
        f"loggrad_1p5, log-gradient sensor, {M4}",
        f"loggrad_1p5, made by the board from RAW, {M4}",
        f"jpeg8, camera with ISP, {M4}",
    ]
    assert [len(titles("loggrad_1p5", None)), len(titles("raw16", M4)), len(titles("jpeg8", M4))] == [2, 2, 2]
    assert titles("jpeg8", None) == ["jpeg8, camera with ISP, accelerator, 45 nm"]


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(LogGradError, match="loggrad_fp: no camera sends it"):
        _made("loggrad_fp", M4)
    with pytest.raises(LogGradError, match="an accelerator does not make it from RAW"):
        _made("loggrad_1p5", emulated=True)
    with pytest.raises(LogGradError, match="'abacus': no such board"):
        _made("loggrad_1p5", "abacus")


def test_factor_lets_equal_constants_err_alike() -> None:
    def of(**stages: tuple[float, float, float]) -> pipeline.Pipeline:
        made = [pipeline.Stage(name, Constant(*ends, "J", name)) for name, ends in stages.items()]
        return pipeline.Pipeline("", 1, tuple(made))

    cnn = (1.0, 10.0, 100.0)
    alike = factor(of(CNN=cnn), of(CNN=cnn))
    assert (alike.low, alike.nominal, alike.high) == (1, 1, 1)
    apart = factor(of(sensor=cnn, CNN=(1, 1, 1)), of(ISP=cnn, CNN=(1, 1, 1)))
    assert (apart.low, apart.high) == pytest.approx((2 / 101, 101 / 2))


def test_instructions_of_the_front_end_grow_with_the_levels() -> None:
    three, seven = (_made(name, M4, emulated=True) for name in ("loggrad_1p5", "loggrad_2p75"))
    assert _nanojoules(seven, "front end") > 1.5 * _nanojoules(three, "front end")
    pixel = power.energy(1, boards.read(M4)).nominal * 1e9
    assert 15 < _nanojoules(three, "front end") / pixel < 35, "instructions a pixel"


def _energy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export.energy", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


@pytest.mark.seconds
def test_command_of_a_saved_network(tmp_path: Path) -> None:
    import numpy as np

    from models import bundle, keras_net
    from models.recipe import TrainConfig

    graph, front_end = zoo.small_bn(32, 3), fixed("loggrad_1p5", Sensor())
    weights = tuple(np.asarray(w) for w in keras_net.build(graph).get_weights())
    data = DataReference("synthetic", 32, "gray", manifest_sha256="8e92" * 16)
    saved = bundle.Bundle(graph, front_end, ("a", "b", "c"), data, TrainConfig(), 0, {}, weights=weights)
    bundle.save(tmp_path / "best", saved)
    done = _energy(f"--run={tmp_path}", f"--board={M4}")
    assert done.returncode == 0, done.stderr
    for found in compared(nominal(graph, front_end), front_end, M4):
        assert "\n".join(pipeline.table(found)) in done.stdout
    assert done.stdout.count("total ") == 3 and "JSSC'19" in done.stdout


@pytest.mark.seconds
def test_command_names_what_is_missing(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "give --run=DIR or --model=MODEL.tflite"),
        ([f"--run={tmp_path}"], "no finished network there"),
        ([f"--model={tmp_path / 'none.tflite'}"], "no such file"),
    ):
        done = _energy(*arguments)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1


def test_every_constant_says_where_it_is_from() -> None:
    found = [c for c in vars(pipeline).values() if isinstance(c, Constant)]
    assert len(found) == 9
    for constant in found:
        assert constant.low <= constant.nominal <= constant.high
        assert constant.unit and constant.source
    front_end = FrontEnd("jpeg8", Sensor())
    text = pipeline.sources(compared(nominal(GRAPH, front_end), front_end))
    assert len(text) == len({*text}) == 5 and all(dataclasses.is_dataclass(c) for c in found)
