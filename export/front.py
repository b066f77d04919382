"""What the board does to a RAW row before the network: the C of the input tensor's four kinds.

    levels     log-gradient levels, one line of delay       (lg_quantizer.h)
    gradient   fixed-point log gradient, the same delay     (lg_table.h)
    pixel      a table per pixel: jpeg8, raw16              (lg_table.h)
    tensor     rows of the int8 input tensor as they are    (a network without model.json)

All four give the same generated interface: ``net_push_row(net, codes, count)``.
"""

import dataclasses
import re

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.frontend import FrontEnd

# sizeof on a 32-bit Arm (arm-none-eabi: short enums); the generated C checks them.
_STRUCT = {
    "levels": ("lg_quantizer", 20),
    "gradient": ("lg_table_gradient", 20),
    "pixel": ("", 0),
    "tensor": ("", 0),
}
# Of lg_quantizer.h.
_MAX_SIDE, _MAX_THRESHOLDS, _USUAL_SHIFT = 65535, 3, 12


@dataclasses.dataclass(frozen=True)
class Input:
    """The rows that a host or camera pushes, and what becomes of them.

    Attributes:
      kind: levels, gradient, pixel or tensor.
      height, width, channels: of the input tensor.
      front_end: None for ``tensor``.
    """

    kind: str
    height: int
    width: int
    channels: int
    front_end: FrontEnd | None = None

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
    def rows(self) -> int:
        """Rows of a frame."""
        return self.height + 2 * self.crop

    @property
    def row_codes(self) -> int:
        """Codes of a row."""
        return (self.width + 2 * self.crop) * self.channels

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
        lines = 2 * self.row_codes * self.code_bytes if self.delayed else 0
        return lines + (self.row_codes if self.crop else 0)

    @property
    def table(self) -> np.ndarray | None:
        return self.front_end.table() if self.front_end else None

    @property
    def header(self) -> str:
        return {"levels": "lg_quantizer.h", "tensor": "lg_status.h"}.get(self.kind, "lg_table.h")

    @property
    def text(self) -> str:
        """One phrase for comments and reports."""
        if self.front_end is None:
            return f"int8 tensor, {self.rows} rows of {self.row_codes} values"
        sensor = self.front_end.sensor
        return (
            f"{self.front_end.format} from {sensor.bits}-bit RAW, {self.rows} rows of {self.row_codes} codes"
            f" (black {sensor.black}, white {sensor.white})"
        )


def stamp(source: Input) -> str:
    """One word that says what the front end does: format, bits, black and white level, offset, thresholds."""
    if source.front_end is None:
        return "tensor"
    end, sensor = source.front_end, source.front_end.sensor
    words = [end.format, f"b{sensor.bits}", f"{sensor.black}-{sensor.white}", f"c{end.offset}"]
    return "/".join([*words, *(f"K{k}" for k in end.ratios)])


def describe(front_end: FrontEnd | None, shape: tuple[int, ...], scale: float, zero_point: int) -> Input:
    """The input of a network whose int8 tensor has this shape, scale and zero point.

    Raises:
      LogGradError: the tensor is not the one that ``front_end`` fills.
    """
    height, width, channels = (1,) * (3 - len(shape)) + tuple(shape) if len(shape) > 1 else (1, 1, *shape)
    if front_end is None:
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
    source = Input(kind, height, width, channels, front_end)
    _check(source)
    return source


def _check(source: Input) -> None:
    """Raise LogGradError for what the C would refuse if it were asked: the generated C is not."""
    end = source.front_end
    assert end is not None
    if max(source.rows, source.row_codes) > _MAX_SIDE:
        raise LogGradError(
            f"model.json: {source.rows} rows of {source.row_codes} codes: at most {_MAX_SIDE} each"
        )
    if source.kind == "levels" and (
        not 1 <= len(end.ratios) <= _MAX_THRESHOLDS
        or (end.sensor.span + end.offset) ** 2 * end.ratios[-1] >= 2**64
    ):
        raise LogGradError(f"model.json: ratios {end.ratios} at offset {end.offset}: products beyond 64 bits")


def walk(source: Input) -> str:
    """The C expression of the loop over a line of ``levels``: the fastest exact one of lg_quantizer.h."""
    end = source.front_end
    assert end is not None and source.kind == "levels"
    sensor, ratio, product = end.sensor, end.ratios[-1], (end.sensor.span + 1) ** 2
    if end.shift != _USUAL_SHIFT or end.offset != 1:
        return "lg_levels_any"
    many = 2 * len(end.ratios) + 1
    if source.code_bytes == 1:
        full = (sensor.black, sensor.white) == (0, 255)
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
    lines = "    net_code lines[2u * NET_ROW_CODES]; /* the two newest rows */\n" if source.delayed else ""
    return lines + ("    int8_t line[NET_ROW_CODES]; /* a line with its border */\n" if source.crop else "")


def definitions(source: Input) -> str:
    """Constants ahead of the functions in net.c."""
    if source.front_end is None:
        return ""
    sensor = source.front_end.sensor
    raw = (
        f"{{.width = NET_ROW_CODES, .height = NET_ROWS, .bits = {sensor.bits},"
        f" .code_bytes = {source.code_bytes}, .black = {sensor.black}, .white = {sensor.white}}}"
    )
    if source.kind != "levels":
        return f"static const lg_raw_format raw_format = {raw};\n"
    ratios = ", ".join(f"{k}u" for k in source.front_end.ratios)
    thresholds = ", ".join(f"{t:.4f}" for t in source.front_end.thresholds)
    return (
        f"/* Thresholds {thresholds} in units of ln. */\n"
        f"static const lg_quantizer_config front_config = {{\n    .raw = {raw},\n"
        f"    .ratios = {{{ratios}}}, .ratio_count = {len(source.front_end.ratios)},\n"
        f"    .shift = {source.front_end.shift}, .offset = {source.front_end.offset},"
        f" .packing = LG_PACK_S8,\n}};\n"
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
    if (net->pushed > 2u) {{
        memcpy(input_row(net), net->line + 1, NET_ROW_CODES - 2u);
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
