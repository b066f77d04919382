"""Energy of a frame from photosite to class, stage by stage: estimates, each with its band.

    sensor     pixels and their read-out; of a log-gradient sensor its ratio-to-digital converters too
    ADC        energy of a step x 2^bits
    link       bits from camera to processor, packed: 2 for 3 levels, 3 for 5 and 7, 8 of an ISP, 16 of RAW
    ISP        in the camera, which sends 8 bits a pixel
    front end  cycles that make the network's int8 input of what came over the link
    CNN        an accelerator's multiply-accumulates, or a microcontroller's cycles

A published sensor's energy holds its ADC, so an ADC of :data:`USUAL_BITS` is taken out of it and one of the
pipeline's depth put in. Bands are added up end by end: a total's low is the sum of all lows, as if every
constant erred the same way, which makes it the widest band. Exposure, illumination, sleep and the radio are
left out, as they are in the paper (introduction, figure 2). Nothing here was measured on hardware.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

from export import boards
from export.plan.input import describe
from export.plan.nodes import build
from export.predict import costs, footprint, power
from export.predict.power import Constant
from export.tflite.quant_graph import QuantGraph
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import LEVELS, FrontEnd

STAGES = ("sensor", "ADC", "link", "ISP", "front end", "CNN")
_NJ, _PJ = "nJ per pixel", "pJ"
_MEAN = "nominal: geometric mean"

SENSOR = Constant(
    0.2, 0.63, 2.0, _NJ, f"the paper, introduction: whole sensor, taken for one of 10 bits; {_MEAN}"
)
USUAL_BITS = 10
ADC = Constant(0.01, 0.1, 0.2, "pJ per step", "CamJ (ISCA'23): 100 fJ; low and high assumed")
LINK = Constant(
    4.0, 16.0, 54.0, "pJ per bit", "C V^2 / 4 on the board: 5 pF at 1.8 V, 20 pF at 1.8 V, 20 pF at 3.3 V"
)
ISP = Constant(0.98, 1.4, 2.0, _NJ, f"ISSCC'20, 21.3: 0.98; the paper, introduction: 1 to 2; {_MEAN}")
LOGGRAD_SENSOR = Constant(
    0.099, 0.13, 0.26, _NJ,
    "one chip: JSSC'19 0.099, ISSCC'19 0.127, the paper 0.13; high: twice, assumed; all modes alike",
)  # fmt: skip
CNN_PIXEL = Constant(3.0, 4.2, 6.0, _NJ, f"the paper, introduction: hardware for small CNNs; {_MEAN}")
# AlexNet at 227 x 227: 76 mW at 47 frames a second, 278 mW at 35.
CONVENTIONAL = Constant(
    31.4, 69.6, 154.1, _NJ,
    f"AlexNet's convolutions without DRAM: JSSC'17, 40 nm; Eyeriss, JSSC'17, 65 nm; {_MEAN}",
)  # fmt: skip
MAC = Constant(
    0.3, 2.8, 10.3, "pJ per MAC",
    "45 nm, Horowitz (ISSCC'14): 8-bit multiply 0.2, 32-bit add 0.1, 32-bit SRAM read 5; a MAC reads nothing,"
    " two bytes, two words",
)  # fmt: skip
UNPACK = Constant(
    0.25, 1.0, 3.0, "cycles per pixel", "levels from packed bits by a table: assumed, not measured"
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage, of :data:`STAGES`, and the joules that it takes a frame."""

    name: str
    joules: Constant


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """A camera and what follows it.

    Attributes:
      title: what it is, in words.
      pixels: of the sensor.
      stages: those that there are, in the order of :data:`STAGES`.
    """

    title: str
    pixels: int
    stages: tuple[Stage, ...]

    @property
    def total(self) -> Constant:
        """Joules a frame: sums of all lows, nominals and highs."""
        nothing = Constant(0.0, 0.0, 0.0, "J", "sum of the stages")
        return functools.reduce(Constant.plus, (stage.joules for stage in self.stages), nothing)

    def share(self, stage: Stage) -> float:
        """Part of the nominal total, 0..1."""
        return stage.joules.nominal / self.total.nominal


def adc(bits: int) -> Constant:
    """nJ of a pixel's conversion."""
    return ADC.times(1e-3 * 2**bits, _NJ)


def link(bits: int) -> Constant:
    """nJ of a pixel's ``bits``."""
    return LINK.times(1e-3 * bits, _NJ)


def packed_bits(levels: int) -> int:
    """Bits of a pixel of levels -n..n."""
    return (2 * levels).bit_length()


def camera(format_name: str, pixels: int, bits: int = 12, channels: int = 1) -> tuple[Stage, ...]:
    """Sensor, conversion, link and ISP of a frame.

    Args:
      format_name: jpeg8 (a sensor of 10 bits and an ISP), raw16 (a sensor of ``bits``), or a quantised
        log gradient from a sensor that makes it.
      pixels: of the sensor.
      bits: of raw16's codes; above 8 they take two bytes of the link.
      channels: of jpeg8.
    Raises:
      LogGradError: no camera sends this format.
    """
    nanojoules: list[tuple[str, Constant]]
    if format_name in LEVELS:
        wires = link(packed_bits(LEVELS[format_name]))
        nanojoules = [("sensor", LOGGRAD_SENSOR), ("link", wires)]
    elif format_name in ("jpeg8", "raw16"):
        jpeg, usual = format_name == "jpeg8", adc(USUAL_BITS)
        array = SENSOR.plus(usual, -1.0)
        wires = link(8 * channels if jpeg else 8 if bits <= 8 else 16)
        nanojoules = [("sensor", array), ("ADC", adc(USUAL_BITS if jpeg else bits)), ("link", wires)]
        nanojoules += [("ISP", ISP)] if jpeg else []
    else:
        raise LogGradError(f"{format_name}: no camera sends it; have the board compute it from RAW")
    return tuple(Stage(name, value.times(1e-9 * pixels, "J")) for name, value in nanojoules)


def macs(network: QuantGraph) -> int:
    """Multiply-accumulates of convolutions and dense layers."""
    kinds = ("conv", "depthwise", "dense")
    return sum(network.macs(op) for op in network.ops if op.kind in kinds)


def pipeline(
    network: QuantGraph, front_end: FrontEnd | None, board: str | None = None, emulated: bool = False
) -> Pipeline:
    """A camera, and ``network`` behind it.

    Args:
      front_end: of the network; None for an 8-bit image, which goes into the int8 tensor as it is.
      board: see :func:`export.boards.read`; None for an accelerator of :data:`MAC` a multiply-accumulate.
      emulated: a standard sensor sends RAW, and the board makes the input format of it.
    Raises:
      LogGradError: no such board, nothing known of its core, no camera that sends the format, or an
        accelerator that is to make it.
    """
    tensor = network.tensors[build(network).input]
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point)
    name = front_end.format if front_end else "jpeg8"
    pixels = source.lines * source.line_pixels // source.channels
    bits = front_end.sensor.bits if front_end else 8
    where = board or "accelerator, 45 nm"
    if emulated and board is None:
        raise LogGradError(f"{name}: an accelerator does not make it from RAW; give a board")
    seen = camera("raw16" if emulated else name, pixels, bits, source.channels)
    if board is None:
        work = [Stage("CNN", MAC.times(1e-12 * macs(network), "J"))]
    else:
        work = _on_board(network, front_end, board, emulated, pixels)
    maker = {"jpeg8": "camera with ISP", "raw16": "RAW camera"}.get(name, "log-gradient sensor")
    how = "made by the board from RAW" if emulated else maker
    return Pipeline(f"{name}, {how}, {where}", pixels, (*seen, *work))


def _on_board(
    network: QuantGraph, front_end: FrontEnd | None, board: str, emulated: bool, pixels: int
) -> list[Stage]:
    facts = boards.read(board)
    name = front_end.format if front_end else "jpeg8"
    # An ISP's image is copied as it is, whatever makes it.
    given = None if name == "jpeg8" and not emulated else front_end
    tensor = network.tensors[build(network).input]
    source = describe(given, tensor.shape, tensor.scale, tensor.zero_point)
    *nodes, first = costs.cycles(footprint.plan(network, source, facts), source, facts["core"])
    taken = power.energy(first, facts)
    if name in LEVELS and not emulated:
        taken = UNPACK.product(power.energy(pixels, facts), "J")
        taken = dataclasses.replace(taken, source=UNPACK.source)
    return [Stage("front end", taken), Stage("CNN", power.energy(sum(nodes), facts))]


def compared(network: QuantGraph, front_end: FrontEnd | None, board: str | None = None) -> list[Pipeline]:
    """``network`` behind the camera of its format, behind RAW of which the board makes the format, and
    behind an 8-bit camera with an ISP; those of the three that there are and that differ."""
    found = []
    name = front_end.format if front_end else "jpeg8"
    if name in (*LEVELS, "raw16"):
        found.append(pipeline(network, front_end, board))
    if board is not None and front_end is not None and name != "raw16":
        found.append(pipeline(network, front_end, board, emulated=True))
    return [*found, pipeline(network, None, board)]


def factor(one: Pipeline, other: Pipeline) -> Constant:
    """How many times as much ``one`` takes as ``other``, at all ends of the bands.

    Stages of one constant err the same way in both, as do all that a processor does; others independently.
    """
    ends = []
    keys = sorted({_cause(stage) for p in (one, other) for stage in p.stages})
    for corner in itertools.product(("low", "high"), repeat=len(keys)):
        at = dict(zip(keys, corner, strict=True))
        sums = [sum(getattr(s.joules, at[_cause(s)]) for s in p.stages) for p in (one, other)]
        ends.append(sums[0] / sums[1])
    nominal = one.total.nominal / other.total.nominal
    return Constant(min(ends), nominal, max(ends), "", "extremes over the stages' bands")


def _cause(stage: Stage) -> str:
    """What the error of a stage comes from."""
    return "processor" if stage.name in ("front end", "CNN") else stage.joules.source


def table(found: Pipeline) -> list[str]:
    """Lines of text: stage, low, nominal and high in microjoules a frame, share of the nominal total."""
    lines = [found.title, f"{'stage':10s} {'low uJ':>10s} {'nominal uJ':>10s} {'high uJ':>10s} {'share':>7s}"]
    rows = [(stage.name, stage.joules, found.share(stage)) for stage in found.stages]
    for name, joules, share in [*rows, ("total", found.total, 1.0)]:
        numbers = " ".join(f"{1e6 * v:10.3f}" for v in (joules.low, joules.nominal, joules.high))
        lines.append(f"{name:10s} {numbers} {share:7.1%}")
    return lines


def sources(pipelines: Sequence[Pipeline]) -> list[str]:
    """``stages: source``, each source once."""
    found: dict[str, dict[str, None]] = {}
    for stage in (stage for one in pipelines for stage in one.stages):
        found.setdefault(stage.joules.source, {})[stage.name] = None
    return [f"{', '.join(names)}: {source}" for source, names in found.items()]
