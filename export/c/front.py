"""What the board does to a RAW row before the network: the C of the input tensor's four kinds.

    levels     log-gradient levels, one line of delay       (lg_quantizer.h)
    gradient   fixed-point log gradient, the same delay     (lg_table.h)
    pixel      a table per pixel: jpeg8, raw16              (lg_table.h)
    tensor     rows of the int8 input tensor as they are    (a network without model.json)

All four give the same generated interface: ``net_push_row(net, codes, count)``. Ahead of the first three the
codes of a larger sensor may be binned, k x k to a pixel (lg_bin.h); the front end then takes rows of P.
"""

import dataclasses
import re

import numpy as np

from export.plan import binning
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO, Sensor

# sizeof on a 32-bit Arm (arm-none-eabi: short enums); the generated C checks them.
_STRUCT = {
    "levels": ("lg_quantizer", 20),
    "gradient": ("lg_table_gradient", 20),
    "pixel": ("", 0),
    "tensor": ("", 0),
}
# Of lg_quantizer.h.
MAX_SIDE, _USUAL_SHIFT = 65535, 12


@dataclasses.dataclass(frozen=True)
class Input:
    """The rows that a host or camera pushes, and what becomes of them.

    Attributes:
      kind: levels, gradient, pixel or tensor.
      height, width, channels: of the input tensor.
      front_end: None for ``tensor``.
      binning: k; the camera sends k rows of k codes for each row and column of the front end.
    """

    kind: str
    height: int
    width: int
    channels: int
    front_end: FrontEnd | None = None
    binning: int = 1

    @property
    def levels(self) -> int:
        """n of an input of levels -n..n, else 0."""
        return len(self.front_end.ratios) if self.kind == "levels" and self.front_end else 0

    @property
    def cost_name(self) -> str:
        """Front ends of the same code: equal size, and equal instructions a code."""
        if self.kind != "levels":
            return self.kind
        loop = re.findall(r"lg_levels_\w+", walk(self))[0]
        return f"{loop}_{self.levels}" if loop == "lg_levels_any" else loop

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
        """RAM of the fields of :func:`members`."""
        return _STRUCT[self.kind][1]

    @property
    def tail_bytes(self) -> int:
        """RAM of the arrays of :func:`tail`."""
        lines = 2 * self.line_pixels * self.code_bytes if self.delayed else 0
        sums = 0
        if self.binning > 1 and self.front_end is not None:
            sums = binning.sums_bytes(self.front_end.sensor, self.binning, self.line_pixels)
        return sums + lines + (self.line_pixels if self.crop else 0)

    @property
    def table(self) -> np.ndarray | None:
        return self.front_end.table() if self.front_end else None

    @property
    def headers(self) -> str:
        """Includes of net.h."""
        names = [{"levels": "lg_quantizer.h", "tensor": "lg_status.h"}.get(self.kind, "lg_table.h")]
        names += ["lg_bin.h"] if self.binning > 1 else []
        return "".join(f'#include "{name}"\n' for name in sorted(names))

    @property
    def text(self) -> str:
        """One phrase for comments and reports."""
        if self.front_end is None:
            return f"int8 tensor, {self.rows} rows of {self.row_codes} values"
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
      factor: k of the binning, one of :data:`export.plan.binning.FACTORS`.

    Raises:
      LogGradError: the tensor is not the one that ``front_end`` fills, or nothing here may be binned.
    """
    if factor not in binning.FACTORS:
        raise LogGradError(f"--binning={factor}: choose one of {', '.join(map(str, binning.FACTORS))}")
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


def walk(source: Input) -> str:
    """The C expression of the loop over a line of ``levels``: the fastest exact one of lg_quantizer.h."""
    end = source.front_end
    assert end is not None and source.kind == "levels"
    sensor, ratio, product = source.line_sensor, end.ratios[-1], (end.sensor.span + 1) ** 2
    if end.shift != _USUAL_SHIFT or end.offset != 1:
        return "lg_levels_any"
    many = 2 * len(end.ratios) + 1
    if source.code_bytes == 1:
        # Pixels that were binned are clipped already.
        full = source.binning > 1 or (sensor.black, sensor.white) == (0, 255)
        return f"lg_levels_8_{many}{'' if full else '_cut'}" if product * ratio < 2**32 else "lg_levels_any"
    if product >= 2**32:
        return "lg_levels_any"
    split = product * ratio < 2 ** (32 + _USUAL_SHIFT) and ratio * (2**_USUAL_SHIFT - 1) < 2**32
    name = f"lg_levels_16_{many}"
    return name if split else f"LG_LONG_MULTIPLY != 0 ? {name} : lg_levels_any"


def members(source: Input) -> str:
    """Fields of ``net_state``, the struct first, narrow arrays last (see :func:`tail`)."""
    struct = _STRUCT[source.kind][0]
    return f"    {struct} front;\n" if struct else ""


def tail(source: Input) -> str:
    """The arrays at the end of ``net_state``."""
    pixels, text = _pixels(source), ""
    if source.binning > 1 and source.front_end is not None:
        macro = binning.sums_macro(source.front_end.sensor, source.binning)
        text += f"    uint16_t sums[{macro}({pixels})]; /* of a row of squares, then its pixels */\n"
    if source.delayed:
        text += f"    net_code lines[2u * {_factor(pixels)}]; /* the two newest rows */\n"
    if source.crop:
        text += f"    int8_t line[{pixels}]; /* a line with its border */\n"
    return text


def _pixels(source: Input) -> str:
    """C: pixels of a line of the front end."""
    return "NET_ROW_CODES" if source.binning == 1 else "NET_ROW_CODES / NET_BINNING"


def _factor(text: str) -> str:
    """A C expression as a factor."""
    return f"({text})" if "/" in text else text


def definitions(source: Input) -> str:
    """Constants ahead of the functions in net.c."""
    if source.front_end is None:
        return ""
    camera = ""
    raw = _raw_format(source, source.line_sensor, _pixels(source))
    if source.binning > 1:
        whole = _raw_format(source, source.front_end.sensor, "NET_ROW_CODES")
        camera = f"static const lg_raw_format camera_format = {{\n    {whole},\n}};\n"
    if source.kind != "levels":
        return f"{camera}static const lg_raw_format raw_format = {{\n    {raw},\n}};\n"
    ratios = ", ".join(f"{k}u" for k in source.front_end.ratios)
    inner = raw.replace("\n    ", "\n            ")
    thresholds = ", ".join(f"{t:.4f}" for t in source.front_end.thresholds)
    return (
        f"{camera}/* Thresholds {thresholds} in units of ln. */\n"
        f"static const lg_quantizer_config front_config = {{\n    .raw = {{{inner}}},\n"
        f"    .ratios = {{{ratios}}}, .ratio_count = {len(source.front_end.ratios)},\n"
        f"    .shift = {source.front_end.shift}, .offset = {source.front_end.offset},"
        f" .packing = LG_PACK_S8,\n}};\n"
    )


def _raw_format(source: Input, sensor: Sensor, width: str) -> str:
    """Fields of an lg_raw_format, on two lines."""
    height = width.replace("NET_ROW_CODES", "NET_ROWS")
    return (
        f".width = {width}, .height = {height},\n    .bits = {sensor.bits},"
        f" .code_bytes = {source.code_bytes}, .black = {sensor.black}, .white = {sensor.white}"
    )


def initialise(source: Input) -> str:
    """The last statement of net_init."""
    if source.kind == "levels":
        return (
            f"lg_quantizer_start(&net->front, &front_config, {walk(source)}, net->lines);\n    return LG_OK;"
        )
    if source.kind == "gradient":
        return "lg_table_gradient_start(&net->front, &raw_format, net_table, net->lines);\n    return LG_OK;"
    return "return LG_OK;"


def restart(source: Input) -> str:
    """What net_begin does to the front end."""
    return f"    {_prefix(source)}_restart(&net->front);\n" if source.delayed else ""


def push(source: Input) -> str:
    """The part of net_push_row that takes the row."""
    return _push_codes(source) + _push_line(source)


def _push_codes(source: Input) -> str:
    """Rows of codes become a line of pixels, which takes their place."""
    if source.binning == 1:
        return ""
    return f"""    const lg_status binned = lg_bin_push(&camera_format, {source.bin_loop}, codes, count,
                                         net->pushed % NET_BINNING, net->sums);
    if (binned != LG_OK) {{
        net->pushed = (uint16_t)(net->pushed + (binned == LG_NO_LINE));
        return binned;
    }}
    codes = (const net_code *)net->sums;
    count = {_pixels(source)};
"""


def _push_line(source: Input) -> str:
    if source.kind == "tensor":
        return """    if (count != NET_ROW_CODES) {
        return count < NET_ROW_CODES ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    memcpy(input_row(net), codes, NET_ROW_CODES);
    net->pushed++;
    take_row(net);
    return net->pushed < NET_ROWS ? LG_NO_LINE : LG_OK;
"""
    if source.kind == "pixel":
        return """    const lg_status status =
        lg_table_line(&raw_format, net_table, NET_TABLE_LENGTH, codes, count, input_row(net));
    if (status < 0) {
        return status;
    }
    net->pushed++;
    take_row(net);
    return net->pushed < NET_ROWS ? LG_NO_LINE : LG_OK;
"""
    if source.crop:
        # The first and the last line and column have neighbours outside the image.
        return f"""    const lg_status status = {_prefix(source)}_push(&net->front, codes, count, net->line);
    if (status < 0) {{
        return status;
    }}
    net->pushed++;
    if (net->pushed > {"2u" if source.binning == 1 else "2u * NET_BINNING"}) {{
        memcpy(input_row(net), net->line + 1, {_pixels(source)} - 2u);
        take_row(net);
    }}
    return net->pushed < NET_ROWS ? LG_NO_LINE : LG_OK;
"""
    return f"""    /* The line that comes out is the one of the row before; row 0 gives none. */
    lg_status status = {_prefix(source)}_push(&net->front, codes, count, input_row(net));
    if (status < 0) {{
        return status;
    }}
    net->pushed++;
    if (status == LG_OK) {{
        take_row(net);
    }}
    if (net->pushed < NET_ROWS) {{
        return LG_NO_LINE;
    }}
    status = {_prefix(source)}_flush(&net->front, input_row(net));
    if (status == LG_OK) {{
        take_row(net);
    }}
    return status;
"""


def _prefix(source: Input) -> str:
    return "lg_quantizer" if source.kind == "levels" else "lg_table_gradient"
