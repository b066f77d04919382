"""The C of the front end: what the board does to a RAW row before the network.

All four kinds of :class:`export.plan.input.Input` give the same generated interface:
``net_feed_row(net, codes, count)``. ``parts``: into how many ``net_step`` cuts a line of the front end;
with 1 net_feed_row makes the line.
"""

from export.plan import binning
from export.plan.input import Input
from loggrad_tf.transform.sensor import Sensor

# Structs of the front ends with lines of delay; their functions begin with the same name.
_STRUCTS = {"levels": "lg_quantizer", "gradient": "lg_table_gradient"}
_GRADIENT = "lg_gradient_line"


def headers(source: Input, parts: int, more: tuple[str, ...] = ()) -> str:
    """Includes of net.h."""
    names = [*more, {"levels": "lg_quantizer.h", "tensor": "lg_status.h"}.get(source.kind, "lg_table.h")]
    names += ["lg_bin.h"] if source.binning > 1 else []
    names += ["lg_parts.h"] if parts > 1 else []
    return "".join(f'#include "{name}"\n' for name in sorted(names))


def walk(source: Input) -> str:
    """The C expression of the loop over a line of ``levels``."""
    loop = source.level_loop
    return f"LG_LONG_MULTIPLY != 0 ? {loop} : lg_levels_any" if source.needs_long_multiply else loop


def members(source: Input, parts: int) -> str:
    """Fields of ``net_state``, the struct first, narrow arrays last (see :func:`tail`)."""
    if parts > 1:
        return "    lg_parts front;\n"
    return f"    {_STRUCTS[source.kind]} front;\n" if source.kind in _STRUCTS else ""


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


def _raw(source: Input) -> str:
    """The format of a line, a C expression."""
    return "&front_config.raw" if source.kind == "levels" else "&raw_format"


def initialise(source: Input, parts: int) -> str:
    """What net_init does to the front end."""
    if parts > 1:
        rule, loop = ("&front_config", walk(source)) if source.kind == "levels" else ("net_table", _GRADIENT)
        return f"    lg_parts_start(&net->front, {_raw(source)}, {rule}, {loop}, net->lines);\n"
    if source.kind == "levels":
        return f"    lg_quantizer_start(&net->front, &front_config, {walk(source)}, net->lines);\n"
    if source.kind == "gradient":
        return "    lg_table_gradient_start(&net->front, &raw_format, net_table, net->lines);\n"
    return ""


def restart(source: Input, parts: int) -> str:
    """What net_begin does to the front end."""
    if parts > 1:
        return "    lg_parts_restart(&net->front);\n"
    return f"    {_STRUCTS[source.kind]}_restart(&net->front);\n" if source.delayed else ""


def feed(source: Input, parts: int) -> str:
    """The part of net_feed_row that takes the row."""
    return _feed_codes(source) + (_take_line(source) if parts > 1 else _feed_line(source))


def busy(parts: int) -> str:
    """In ``standing``: is there a line of which not all parts are done?"""
    return "    if (lg_parts_busy(&net->front)) {\n        return LG_WORK;\n    }\n" if parts > 1 else ""


def step(source: Input, parts: int) -> str:
    """In ``work``: the next part of the line that was taken, or all of it."""
    if parts == 1:
        return ""
    line = "(net->pushed - 1u)" if source.binning == 1 else "(net->pushed - 1u) / NET_BINNING"
    call = f"lg_parts_step(&net->front, {_raw(source)}, {{out}}, whole ? 1u : {parts}u)"
    if source.crop:
        return f"""    if (lg_parts_busy(&net->front)) {{
        const uint32_t line = {line};
        if ({call.format(out="net->line")} == LG_OK && line > 1u) {{
            memcpy(input_row(net, line - 2u), net->line + 1, {_pixels(source)} - 2u);
            take_row(net, line - 2u);
        }}
        return;
    }}
"""
    return f"""    if (lg_parts_busy(&net->front)) {{
        /* The line that comes out is the one before; line 0 gives none. */
        const uint32_t line = {line};
        const uint32_t row = line == 0u ? 0u : line - 1u;
        if ({call.format(out="input_row(net, row)")} == LG_OK) {{
            take_row(net, row);
        }}
        return;
    }}
"""


def flush(source: Input, parts: int = 1) -> str:
    """What makes the last row of the input when all rows are there; empty where the last push makes it."""
    if not source.delayed or source.crop:
        return ""
    last = f"{_pixels(source).replace('NET_ROW_CODES', 'NET_ROWS')} - 1u"
    if parts > 1:
        call = f"lg_parts_flush(&net->front, {_raw(source)}, input_row(net, {last}), whole ? 1u : {parts}u)"
        return f"    if ({call} == LG_OK) {{\n        take_row(net, {last});\n    }}\n"
    return (
        f"    (void){_STRUCTS[source.kind]}_flush(&net->front, input_row(net, {last}));\n"
        f"    take_row(net, {last});\n"
    )


def _feed_codes(source: Input) -> str:
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


def _take_line(source: Input) -> str:
    return f"""    const lg_status status = lg_parts_take(&net->front, {_raw(source)}, codes, count);
    if (status < 0) {{
        return status;
    }}
    net->pushed++;
    return standing(net);
"""


def _feed_line(source: Input) -> str:
    line = "net->pushed" if source.binning == 1 else "net->pushed / NET_BINNING"
    if source.kind == "tensor":
        return """    if (count != NET_ROW_CODES) {
        return count < NET_ROW_CODES ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    memcpy(input_row(net, net->pushed), codes, NET_ROW_CODES);
    take_row(net, net->pushed);
    net->pushed++;
    return standing(net);
"""
    if source.kind == "pixel":
        return f"""    const uint32_t line = {line};
    const lg_status status =
        lg_table_line(&raw_format, net_table, NET_TABLE_LENGTH, codes, count, input_row(net, line));
    if (status < 0) {{
        return status;
    }}
    take_row(net, line);
    net->pushed++;
    return standing(net);
"""
    stem = _STRUCTS[source.kind]
    if source.crop:
        # The first and the last line and column have neighbours outside the image.
        return f"""    const uint32_t line = {line};
    const lg_status status = {stem}_push(&net->front, codes, count, net->line);
    if (status < 0) {{
        return status;
    }}
    if (line > 1u) {{
        memcpy(input_row(net, line - 2u), net->line + 1, {_pixels(source)} - 2u);
        take_row(net, line - 2u);
    }}
    net->pushed++;
    return standing(net);
"""
    return f"""    /* The line that comes out is the one before; line 0 gives none. */
    const uint32_t line = {line};
    const uint32_t row = line == 0u ? 0u : line - 1u;
    const lg_status status = {stem}_push(&net->front, codes, count, input_row(net, row));
    if (status < 0) {{
        return status;
    }}
    if (status == LG_OK) {{
        take_row(net, row);
    }}
    net->pushed++;
    return standing(net);
"""
