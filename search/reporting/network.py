"""The chosen network of a search: drawn, and what each of its layers costs.

The drawing has a row for each step from the input on and a lane for each branch. Costs are told twice, as
everywhere: as muNAS counts them, layer by layer of the network; and as the C for one board has them, node
by node of its plan, by the same planner and predictions that :mod:`export.firmware` uses.
"""

import math
from collections.abc import Sequence

from export.plan.nodes import macs as node_macs
from export.plan.nodes import shape_of
from export.plan.plan import Plan
from export.predict import costs, pipeline, power
from export.predict.deployed import planned
from export.quantization.nominal import nominal
from loggrad_tf.confusion import Confusion
from models.field import receptive_field
from models.graph import SAME, WEIGHTED, WINDOWED, Graph, Op, macs, weight_count
from models.pruning.channels import resized
from search.reporting.reading import Run
from search.reporting.svg import escape, label, picture, place
from search.strategy.proposal import build

BOX, TALL, GAP_X, GAP_Y, MARGIN = 164, 42, 12, 22, 3
# Fills; the kind is written in every box too.
_FILLS = {
    "input": "#ffffff",
    "conv": "#d4e6f4",
    "depthwise": "#cdeee3",
    "dense": "#fbe6c2",
    "add": "#f3dbe9",
}
_OTHER = "#ececec"
_WORDS = {
    "conv": "conv",
    "depthwise": "depthwise",
    "dense": "dense",
    "add": "add",
    "max_pool": "max pool",
    "avg_pool": "average pool",
    "global_avg": "global average",
    "flatten": "flatten",
    "input": "input",
}


def chosen_graph(run: Run, index: int) -> tuple[Graph, Graph]:
    """The network of a candidate as it was drawn, and as pruning left it.

    Raises:
      LogGradError: its record is of another version of this program.
    """
    record = run.records[index]
    drawn = build(record.candidate.genotype, run.config.settings())
    return drawn, resized(drawn, dict(record.outcome.widths))


def rows_of(graph: Graph) -> list[int]:
    """The row of every op: the longest way from the input."""
    rows: list[int] = []
    for op in graph.ops:
        rows.append(max((rows[i] for i in op.inputs), default=-1) + 1)
    return rows


def lanes_of(graph: Graph) -> list[int]:
    """The lane of every op: that of its input if none went on there yet, else the first free one."""
    lanes: list[int] = []
    tips: dict[int, int] = {}
    for position, op in enumerate(graph.ops):
        own = [lanes[i] for i in dict.fromkeys(op.inputs) if tips.get(lanes[i]) == i]
        for lane in own:
            del tips[lane]
        lane = min(own) if own else next(n for n in range(len(tips) + 1) if n not in tips)
        tips[lane] = position
        lanes.append(lane)
    return lanes


def sees(graph: Graph) -> str:
    """How much of the input one cell of a detector sees, in a sentence; empty of a classifier."""
    if graph.cells is None:
        return ""
    rows, columns = graph.cells
    frame = graph.input_shape[:2]
    height, width = (min(pair) for pair in zip(receptive_field(graph), frame, strict=True))
    seen = f"{width} × {height} pixels of the input"
    if (height, width) == frame:
        seen = "the whole frame or, at its edges, most of it"
    return f"<p>It answers on {columns} × {rows} cells, each of which sees {seen}.</p>"


def _title(op: Op) -> str:
    words = _WORDS[op.kind]
    if op.kind in WINDOWED:
        words += f" {op.kernel[0]}×{op.kernel[1]}"
        if op.stride not in ((1, 1), op.kernel):
            words += f", stride {op.stride[0]}"
    return words


def _after(op: Op) -> str:
    return "".join(f" · {word}" for word, there in (("BN", op.bn), ("ReLU", op.relu)) if there)


def drawing(drawn: Graph, graph: Graph, input_name: str) -> str:
    """The network from top to bottom, branches side by side."""
    rows, lanes = rows_of(graph), lanes_of(graph)

    def corner(position: int) -> tuple[float, float]:
        return MARGIN + lanes[position] * (BOX + GAP_X), MARGIN + rows[position] * (TALL + GAP_Y)

    edges, boxes = [], []
    for position, op in enumerate(graph.ops):
        left, top = corner(position)
        for source in op.inputs:
            above_left, above_top = corner(source)
            edges.append(_edge(above_left + BOX / 2, above_top + TALL, left + BOX / 2, top))
        title = input_name if op.kind == "input" else _title(op)
        width = drawn.ops[position].shape[-1]
        pruned = op.kind in WEIGHTED and width != op.shape[-1]
        below = str(list(op.shape)) + (f" of {width}" if pruned else "") + _after(op)
        fill = _FILLS.get(op.kind, _OTHER)
        boxes.append(
            f'<rect class="box" x="{place(left)}" y="{place(top)}" width="{BOX}" height="{TALL}" rx="5"'
            f' fill="{fill}"/>'
        )
        boxes.append(label(left + BOX / 2, top + 17, title, cls="strong small"))
        boxes.append(label(left + BOX / 2, top + 34, below, cls="small"))
    width = 2 * MARGIN + (max(lanes) + 1) * (BOX + GAP_X) - GAP_X
    height = 2 * MARGIN + (max(rows) + 1) * (TALL + GAP_Y) - GAP_Y
    size = f' style="width:{place(width)}px"'
    return picture(width, height, "".join(edges + boxes), "the chosen network", "network", size)


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    """Down the lane of the source, then over to the target just above it."""
    if x1 == x2:
        return f'<path class="edge" d="M{place(x1)} {place(y1)}V{place(y2)}"/>'
    turn = y2 - GAP_Y
    bend = f"C{place(x1)} {place(y2 - 4)} {place(x2)} {place(turn + 4)} {place(x2)} {place(y2)}"
    return f'<path class="edge" d="M{place(x1)} {place(y1)}V{place(turn)}{bend}"/>'


def _bar(value: float, most: float, text: str) -> str:
    """A cell with its number and, behind it, a bar of its share of the largest in the column."""
    return f'<td class="bar" style="--share:{100 * value / most if most else 0:.1f}%">{text}</td>'


def _table(
    head: Sequence[str], words: list[list[str]], numbers: list[list[int]], total: Sequence[str]
) -> str:
    """Columns of words, then columns of numbers with bars, then a line of totals."""
    most = [max(column) for column in zip(*numbers, strict=True)]
    rows = []
    for texts, row in zip(words, numbers, strict=True):
        first, *others = texts
        cells = f'<th class="words">{escape(first)}</th>'
        cells += "".join(f"<td>{escape(text)}</td>" for text in others)
        cells += "".join(_bar(v, m, f"{v:,}") for v, m in zip(row, most, strict=True))
        rows.append(f"<tr>{cells}</tr>")
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    ends = f"<th>{escape(total[0])}</th>" + "".join(f"<td>{escape(text)}</td>" for text in total[1:])
    return (
        f'<table class="numbers bars"><thead><tr>{titles}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f"<tfoot><tr>{ends}</tr></tfoot></table>"
    )


def confusion_table(split: str, counted: Confusion) -> str:
    """True classes in rows, answers in columns, and the share of each class that is right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in counted.class_names)
    rows = []
    classes = zip(counted.class_names, counted.counts, counted.recalls, strict=True)
    for true, (name, row, recall) in enumerate(classes):
        images = sum(row)
        cells = "".join(
            _bar(count, images, f"<b>{count:,}</b>" if answer == true else f"{count:,}")
            for answer, count in enumerate(row)
        )
        share = f"{recall:.1%}" if images else "–"
        rows.append(f'<tr><th class="words">{escape(name)}</th>{cells}<td>{share}</td></tr>')
    count = len(counted.class_names)
    largest, most = counted.largest
    known = any(map(any, counted.counts))
    feet = ""
    for name, value in (("all", counted.accuracy), (f"always answering {largest}", most)):
        text = f"{value:.1%}" if known else "–"
        feet += f'<tr><th>{escape(name)}</th><td colspan="{count}"></td><td>{text}</td></tr>'
    return (
        f'<div class="wide"><table class="numbers bars"><caption>{escape(split)}</caption><thead><tr>'
        f"<th>true class, answered as:</th>{head}<th>right</th></tr></thead><tbody>{''.join(rows)}</tbody>"
        f"<tfoot>{feet}</tfoot></table></div>"
    )


def munas_table(graph: Graph) -> str:
    """Bytes of output, weights and multiply-accumulates of every layer, at one byte an element."""
    words, numbers = [], []
    for op in graph.ops[1:]:
        if op.kind == "flatten":
            continue
        padded = ", padded" if op.padding == SAME else ""
        words.append([_title(op) + padded, str(list(op.shape))])
        numbers.append([math.prod(op.shape), weight_count(graph, op), macs(graph, op)])
    weights, work = sum(n[1] for n in numbers), sum(n[2] for n in numbers)
    head = ("layer", "output", "output B", "weights B", "MACs")
    return _table(head, words, numbers, ("total", "", "", f"{weights:,}", f"{work:,}"))


def deployed(run: Run, graph: Graph) -> str:
    """The plan of the network's C for the search's board, node by node, and the sums of it.

    Raises:
      LogGradError: the board is unknown, or something of it was never measured.
    """
    front_end = run.config.settings().target.front_end
    facts, source, made, found = planned(graph, front_end, run.config.board)
    instructions, cycles = (predict(made, source, facts["core"]) for predict in (costs.predict, costs.cycles))
    time, energy = power.latency(sum(cycles), facts), power.energy(sum(cycles), facts)
    sums = (
        f"Rows share an arena of {made.arena_bytes:,} B."
        f" {found.text}; of {facts['ram']['length']:,} B of RAM and"
        f" {facts['flash']['length']:,} B of flash. A frame takes {1e3 * time.nominal:,.1f} ms"
        f" ({1e3 * time.low:,.1f} to {1e3 * time.high:,.1f}) and {1e3 * energy.nominal:,.2f} mJ"
        f" ({1e3 * energy.low:,.2f} to {1e3 * energy.high:,.2f}), estimated from its cycles."
    )
    return f"{_plan_table(made, instructions, cycles)}<p>{escape(sums)}</p>"


def energy(run: Run, graph: Graph) -> str:
    """Energy by stage of the network behind the cameras of :func:`export.predict.pipeline.compared`.

    Raises:
      LogGradError: the board is unknown, or something of it was never measured.
    """
    front_end = run.config.settings().target.front_end
    found = pipeline.compared(nominal(graph, front_end), front_end, run.config.board)
    head = "".join(
        f'<th colspan="2">{escape(one.title.removesuffix(f", {run.config.board}"))}</th>' for one in found
    )
    rows = []
    for name in (*pipeline.STAGES, "total"):
        cells = f'<th class="words">{name}</th>'
        for one in found:
            stage = next((s for s in one.stages if s.name == name), None)
            joules = one.total if name == "total" else stage.joules if stage else None
            if joules is None:
                cells += "<td></td><td></td>"
                continue
            share = one.share(stage) if stage else 1.0
            band = f"{1e6 * joules.low:,.2f} to {1e6 * joules.high:,.2f}"
            cells += f"<td>{1e6 * joules.nominal:,.2f}<br><small>{band}</small></td>"
            cells += _bar(share, 1.0, f"{share:.1%}")
        rows.append(f"<tr>{cells}</tr>")
    return (
        f'<table class="numbers bars"><thead><tr><th>µJ a frame</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table><p>Estimates; a total's band is the sum of the stages'.</p>"
        f"<p><small>{'<br>'.join(map(escape, pipeline.sources(found)))}</small></p>"
    )


def _plan_table(made: Plan, instructions: Sequence[int], cycles: Sequence[int]) -> str:
    network, rows = made.network, made.schedule.rows
    entry = network.maps[network.input]
    words = [["input, front end", shape_of(entry), f"{rows[entry.key]} / {entry.height}"]]
    numbers = [[made.ring_bytes(entry.key), 0, 0, instructions[-1], cycles[-1]]]
    for node, kernel, *work in zip(network.nodes, made.kernels, instructions, cycles, strict=False):
        out = network.maps[node.output]
        words.append([node.title, shape_of(out), f"{rows[out.key]} / {out.height}"])
        numbers.append([made.ring_bytes(out.key), kernel.bytes, node_macs(network, node), *work])
    total = (
        "",
        f"{made.constant_bytes:,}",
        f"{made.macs:,}",
        f"{sum(instructions):,}",
        f"{sum(cycles):,}",
    )
    head = ("node", "output", "rows held", "rows B", "constants B", "MACs", "instructions", "cycles")
    return _table(head, words, numbers, ("total", "", "", *total))
