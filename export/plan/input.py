"""What is pushed row by row, and what the front end makes of it: sizes, bytes and loops, not their text.

The int8 input tensor is filled in one of four ways:

    levels     log-gradient levels, one line of delay       (lg_quantizer.h)
    gradient   fixed-point log gradient, the same delay     (lg_table.h)
    pixel      a table per pixel: jpeg8, raw16              (lg_table.h)
    tensor     rows of the int8 input tensor as they are    (a network without model.json)

Ahead of the first three the codes of a larger sensor may be binned, k x k to a pixel (lg_bin.h); the front
end then takes rows of P. :mod:`export.c.front` writes the C.
"""

import dataclasses

import numpy as np

from export.plan import binning
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import FACTORS
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO, Sensor

# sizeof(lg_quantizer) and sizeof(lg_table_gradient) on a 32-bit Arm (arm-none-eabi: short enums); the
# generated C checks them.
STRUCT_BYTES = 20
# Of lg_quantizer.h.
MAX_SIDE, _USUAL_SHIFT = 65535, 12
_ANY_LOOP = "lg_levels_any"


@dataclasses.dataclass(frozen=True)
class Input:
    """The rows that a host or camera pushes, and what becomes of them.

    Attributes:
      kind: levels, gradient, pixel or tensor.
      height, width, channels: of the input tensor.
      front_end: None for ``tensor``.
      binning: k; the camera sends k rows of k codes for each row and column of the front end.
      unsigned: values of the tensor are those of a uint8 one less 128.
    """

    kind: str
    height: int
    width: int
    channels: int
    front_end: FrontEnd | None = None
    binning: int = 1
    unsigned: bool = False

    @property
    def levels(self) -> int:
        """n of an input of levels -n..n, else 0."""
        return len(self.front_end.ratios) if self.kind == "levels" and self.front_end else 0

    @property
    def cost_name(self) -> str:
        """Front ends of the same code: equal size, and equal instructions a code."""
        if self.kind != "levels":
            return self.kind
        loop = self.level_loop
        return f"{loop}_{self.levels}" if loop == _ANY_LOOP else loop

    @property
    def crop(self) -> int:
        """Rows and columns that border ``valid`` takes off each side."""
        cropped = self.kind in ("levels", "gradient") and self.front_end and self.front_end.border == "valid"
        return 1 if cropped else 0

    @property
    def lines(self) -> int:
        """Lines of a frame that the front end takes."""
        return self.height + 2 * self.crop

    @property
    def line_pixels(self) -> int:
        """Pixels of a line."""
        return (self.width + 2 * self.crop) * self.channels

    @property
    def rows(self) -> int:
        """Rows of a frame, as the camera sends them."""
        return self.lines * self.binning

    @property
    def row_codes(self) -> int:
        """Codes of a row."""
        return self.line_pixels * self.binning

    @property
    def line_sensor(self) -> Sensor:
        """What the front end takes its lines for: codes of the camera, or P if they are binned."""
        assert self.front_end is not None
        sensor = self.front_end.sensor
        return sensor if self.binning == 1 else Sensor(sensor.bits, 0, sensor.span)

    @property
    def bin_loop(self) -> str:
        """The function of lg_bin.h, or ""."""
        if self.binning == 1 or self.front_end is None:
            return ""
        return binning.loop(self.front_end.sensor, self.binning, self.code_bytes)

    @property
    def level_loop(self) -> str:
        """The function over a line of ``levels``: the fastest exact one of lg_quantizer.h."""
        end = self.front_end
        assert end is not None and self.kind == "levels"
        product = (end.sensor.span + 1) ** 2
        if end.shift != _USUAL_SHIFT or end.offset != 1:
            return _ANY_LOOP
        many = 2 * len(end.ratios) + 1
        if self.code_bytes == 1:
            sensor = self.line_sensor
            # Pixels that were binned are clipped already.
            full = self.binning > 1 or (sensor.black, sensor.white) == (0, 255)
            fits = product * end.ratios[-1] < 2**32
            return f"lg_levels_8_{many}{'' if full else '_cut'}" if fits else _ANY_LOOP
        return f"lg_levels_16_{many}" if product < 2**32 else _ANY_LOOP

    @property
    def needs_long_multiply(self) -> bool:
        """Is :attr:`level_loop` exact only where a core multiplies 32 bits by 32 to 64?"""
        if not self.level_loop.startswith("lg_levels_16"):
            return False
        assert self.front_end is not None
        product, ratio = (self.front_end.sensor.span + 1) ** 2, self.front_end.ratios[-1]
        split = product * ratio < 2 ** (32 + _USUAL_SHIFT) and ratio * (2**_USUAL_SHIFT - 1) < 2**32
        return not split

    @property
    def code_type(self) -> str:
        """C type of a code."""
        if self.front_end is None:
            return "int8_t"
        return "uint8_t" if self.front_end.sensor.bits == 8 else "uint16_t"

    @property
    def code_bytes(self) -> int:
        return 2 if self.code_type == "uint16_t" else 1

    @property
    def delayed(self) -> bool:
        return self.kind in ("levels", "gradient")

    @property
    def struct_bytes(self) -> int:
        """RAM of the front end's struct in ``net_state``."""
        return STRUCT_BYTES if self.delayed else 0

    @property
    def tail_bytes(self) -> int:
        """RAM of the arrays at the end of ``net_state``: sums, delayed lines, a line with its border."""
        lines = 2 * self.line_pixels * self.code_bytes if self.delayed else 0
        sums = 0
        if self.binning > 1 and self.front_end is not None:
            sums = binning.sums_bytes(self.front_end.sensor, self.binning, self.line_pixels)
        return sums + lines + (self.line_pixels if self.crop else 0)

    @property
    def table(self) -> np.ndarray | None:
        return self.front_end.table() if self.front_end else None

    @property
    def text(self) -> str:
        """One phrase for comments and reports."""
        if self.front_end is None:
            note = ", each the model's uint8 less 128" if self.unsigned else ""
            return f"int8 tensor, {self.rows} rows of {self.row_codes} values{note}"
        sensor, k = self.front_end.sensor, self.binning
        return (
            f"{self.front_end.format} from {sensor.bits}-bit RAW, {self.rows} rows of {self.row_codes} codes"
            f" (black {sensor.black}, white {sensor.white})"
            + (f", binned {k}x{k} to {self.lines} rows of {self.line_pixels} pixels" if k > 1 else "")
        )


def stamp(source: Input) -> str:
    """One word that says what the front end does: format, bits, levels, offset, thresholds, binning."""
    if source.front_end is None:
        return "tensor"
    end, sensor = source.front_end, source.front_end.sensor
    words = [end.format, f"b{sensor.bits}", f"{sensor.black}-{sensor.white}", f"c{end.offset}"]
    words += [f"K{k}" for k in end.ratios]
    return "/".join(words if source.binning == 1 else [*words, f"bin{source.binning}"])


def describe(
    front_end: FrontEnd | None, shape: tuple[int, ...], scale: float, zero_point: int, factor: int = 1
) -> Input:
    """The input of a network whose int8 tensor has this shape, scale and zero point.

    Args:
      factor: k of the binning, one of :data:`loggrad_tf.transform.binning.FACTORS`.

    Raises:
      LogGradError: the tensor is not the one that ``front_end`` fills, or nothing here may be binned.
    """
    if factor not in FACTORS:
        raise LogGradError(f"--binning={factor}: choose one of {', '.join(map(str, FACTORS))}")
    height, width, channels = (1,) * (3 - len(shape)) + tuple(shape) if len(shape) > 1 else (1, 1, *shape)
    if front_end is None:
        if factor > 1:
            raise LogGradError(
                f"--binning={factor}: without model.json rows are those of the int8 tensor: leave it out"
            )
        return Input("tensor", height, width, channels)
    if len(shape) != 3 or channels != 1:
        raise LogGradError(
            f"model.json: {front_end.format} fills one channel, the input tensor is {list(shape)}"
        )
    close = abs(scale - front_end.input_scale) <= 1e-6 * front_end.input_scale
    if not close or zero_point != front_end.input_zero_point:
        raise LogGradError(
            f"model.json: {front_end.format} needs input scale {front_end.input_scale:g}, zero point"
            f" {front_end.input_zero_point}; the flatbuffer has {scale:g}, {zero_point}: convert again"
        )
    kind = "gradient" if front_end.format == "loggrad_fp" else "pixel"
    kind = "levels" if front_end.levels else kind
    if factor > 1 and front_end.sensor.cfa != MONO:
        raise LogGradError(
            f"--binning={factor}: this network takes the {front_end.sensor.cfa} mosaic itself: leave it out,"
            " or search with --mode=gray"
        )
    source = Input(kind, height, width, channels, front_end, factor)
    _check(source)
    return source


def _check(source: Input) -> None:
    """Raise LogGradError for sides that the counters of the C do not hold; every other FrontEnd it takes."""
    if max(source.rows, source.row_codes) > MAX_SIDE:
        raise LogGradError(
            f"model.json: {source.rows} rows of {source.row_codes} codes: at most {MAX_SIDE} each"
        )
