"""``python -m export.code_sizes [--board NAME]``: measure the code that the flash is predicted from.

Builds small networks for every core and board, and reads from the images which functions each kernel and
each front end brings along. A prediction is then the size of a union:

    code = rest(board, channel) + sum over nodes (node(kind)) + sum over the union of all functions (size)

``rest`` is what no symbol tells: vectors, constants of the program, alignment. A node's bytes are its
struct, its map and its calls in net.c; a network that remembers has bytes for its states besides. The stack
that a network needs is that of the probe that needs most, of those with its kernels and its front end. Needs
the ARM compiler. Run it after a change to the library, to ``main.c``, to a board, or to the text that
``emit`` writes.

With --board that board's own code is measured and nothing else; a board of the user's (--boards) gets a file
code_sizes.json beside its board.json. A board whose ``statics`` are not what its sources take is refused.
"""

import dataclasses
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from export import boards, firmware
from export.c import emit
from export.plan import memory
from export.plan.input import Input
from export.plan.kernels import VARIANTS, WINOGRAD, Choice
from export.plan.nodes import CODED
from export.plan.plan import Plan, plan
from export.predict import costs, footprint, probes
from export.tflite.quant_graph import QuantGraph
from firmware import build, project, stack
from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole

FLAGS = flags.FLAGS
# --board and --boards are those of export.firmware.
for _name in ("board", "boards"):
    flags.declare_key_flag(_name)
# One board of each core.
BOARDS = ("microbit", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
# What grows with the nodes, and constants, which are counted from the plan.
_OWN = re.compile(
    r"(net_)?l\d\d_\w+|codes_\w+|input_map|take_row|make_row|work|net_feed_row|net_push_row|net_step|schedule"
    r"|pieces|padding_\w+|net_table"
)
# What GCC adds to the name of a function that it has made another one of.
_VARIANT = re.compile(r"\.(isra|constprop|part)\.\d+$")

# Generated functions and those of main.c: one of each in an image, of a size that the network changes.
_GENERATED = re.compile(
    r"net_\w+|by_\w+|open_rows|close_row|some_outputs|finish_row|input_row|standing|check"
    r"|main|answer|receive|observe|get_ready"
)
STAMP = "probe"

Symbols = dict[str, int]


@dataclasses.dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
      code: bytes of flash, without the constants of the network.
      symbols: its functions.
      statics: bytes of variables that are not the program's.
      stack: bytes that net_push_row needs.
    """

    code: int
    symbols: Symbols
    statics: int
    stack: int

    @property
    def rest(self) -> int:
        """Code that is in no symbol of its own."""
        return self.code - sum(self.symbols.values())


class Bench:
    """Builds images for one board in one folder."""

    def __init__(self, board: str, work: Path, channel: str = "") -> None:
        self.board = boards.read(board)
        self.serial = channel == "uart"
        self.work = work
        firmware.write_folders(board, work)

    def image(self, graph: QuantGraph, source: Input, choice: Choice | None = None) -> Image:
        planned = plan(graph, self.board["core"], source.levels, choice)
        for name, text in emit.emit(planned, source, (), "", STAMP).items():
            (self.work / "src" / name).write_text(text)
        made = probes.project_of(self.work, self.board, planned, source)
        try:
            build.build(made, self.serial)
            flash = build.sizes(made).flash
            listing = _listing(made)
        except project.FirmwareError as error:
            raise LogGradError(self._where_it_lies(str(error))) from error
        assert flash is not None
        variables = sum(size for kind, _, size in listing if kind in "bBdD")
        program = memory.program_bytes(memory.state_bytes(planned, source), source)
        code = flash - memory.data_bytes(planned, source)
        needed = stack.deepest(stack.functions(made.elf), "net_push_row")
        return Image(code, _symbols(listing), variables - program, needed.bytes)

    def _where_it_lies(self, reason: str) -> str:
        """What a build says, of the board's own files and not of the copy, which is gone when it is read."""
        said = reason.partition(" (all of it: ")[0]
        copy = rf"\S*/boards/{re.escape(self.board['name'])}/"
        return re.sub(copy, lambda _: f"{self.board['folder']}/", said)

    def planned(self, graph: QuantGraph, source: Input, choice: Choice | None = None) -> Plan:
        return plan(graph, self.board["core"], source.levels, choice)


def _listing(made: project.Project) -> list[tuple[str, str, int]]:
    """(letter of nm, name, bytes) of all that has a size."""
    command = [project.tool("arm-none-eabi-nm"), "-S", str(made.elf)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = (line.split() for line in listing.splitlines())
    return [(words[2], words[3], int(words[1], 16)) for words in found if len(words) == 4]


def _symbols(listing: list[tuple[str, str, int]]) -> Symbols:
    """Functions and constants of library and program: name -> bytes; namesakes differ in size."""
    found: Symbols = {}
    for kind, listed, size in listing:
        name = _VARIANT.sub("", listed)
        if kind in "tTrRW" and not _OWN.fullmatch(name):
            found[name if _GENERATED.fullmatch(name) else f"{name}:{size}"] = size
    return found


def _split(symbols: Symbols) -> tuple[Symbols, Symbols]:
    """(without, with only) the kernel of the lookup that every probe begins with."""
    kernel = {name: size for name, size in symbols.items() if name.startswith("lg_lookup_row:")}
    return _new(symbols, kernel), kernel


def measure_core(board: str, work: Path) -> dict[str, Any]:
    """Bytes a node of each kind; functions and stack of each kernel, front end and binning; on one core."""
    bench = Bench(board, work)
    core = bench.board["core"]
    base, more = (bench.image(*probes.repeated("lookup", n)) for n in (1, 1 + probes.MORE))
    lookup = (more.code - base.code) // probes.MORE
    rest = base.rest - 2 * lookup
    stacks = {"lookup:lg_lookup_row": base.stack, "tensor": base.stack}
    nodes = {"lookup": lookup}
    kernels: dict[str, Symbols] = {"lookup:lg_lookup_row": _split(base.symbols)[1]}
    fronts: dict[str, Symbols] = {"tensor": {}}
    for kind in probes.KINDS:
        if kind == "lookup":
            continue
        # Of one node GCC makes less code than of two: a network has one dense layer mostly, several others.
        few = 1 if kind == "dense" else 2
        one, several = probes.repeated(kind, few), probes.repeated(kind, few + probes.MORE)
        first = bench.image(*one)
        nodes[kind] = (bench.image(*several).code - first.code) // probes.MORE
        measured = [one]
        if kind in ("conv", "dense") and core in VARIANTS:
            measured.append((probes.portable(one[0]), one[1]))
        for probe in measured:
            image, planned = bench.image(*probe), bench.planned(*probe)
            for node, kernel in zip(planned.network.nodes, planned.kernels, strict=True):
                if node.kind == kind:
                    name = costs.cost_name(kind, kernel.function)
                    # The first of its kind also makes generated code grow: a helper, or one more inlined.
                    kernels[name] = _new(image.symbols, base.symbols) | {
                        f"first {kind}": image.rest - rest - lookup - few * nodes[kind]
                    }
                    stacks[name] = image.stack
    if core in VARIANTS:
        slow = bench.image(*probes.repeated("depthwise", 1, multiplier=2))
        kernels["depthwise:lg_depthwise_row"] = _new(slow.symbols, base.symbols)
        stacks["depthwise:lg_depthwise_row"] = slow.stack
    if VARIANTS.get(core) == "dsp":
        image = bench.image(*probes.winograd())
        kernels[costs.cost_name("conv", WINOGRAD)] = _new(image.symbols, base.symbols) | {
            "first conv": image.rest - rest - lookup - 2 * nodes["conv"]
        }
        stacks[costs.cost_name("conv", WINOGRAD)] = image.stack
    for kind in probes.WIDE:
        one = probes.repeated(kind, 1, wide=True)
        image, planned = bench.image(*one), bench.planned(*one)
        for node, kernel in zip(planned.network.nodes, planned.kernels, strict=True):
            if node.kind == kind:
                name = costs.cost_name(kind, kernel.function)
                kernels[name] = _new(image.symbols, base.symbols)
                stacks[name] = image.stack
    for graph, source in probes.fronts():
        image = bench.image(graph, source, Choice())
        fronts[source.cost_name] = _new(image.symbols, base.symbols)
        stacks[source.cost_name] = image.stack
    binnings: dict[str, Symbols] = {}
    for plain, binned in probes.binnings():
        without, image = bench.image(*plain), bench.image(*binned)
        known = without.symbols | fronts[binned[1].cost_name]
        # net_push_row grows too.
        binnings[binned[1].bin_loop] = _new(image.symbols, known) | {
            "first binning": image.rest - without.rest
        }
        stacks[binned[1].bin_loop] = image.stack
    graph, source = probes.coded()
    coded = bench.image(graph, source)
    planned = bench.planned(graph, source)
    nodes |= {"table_conv": nodes["conv"], "codes": nodes["lookup"]}
    uncoded = base.symbols | fronts[source.cost_name]
    brought = _new(coded.symbols, uncoded)
    # The functions that call the front end and the codes grow where the compiler puts these into them.
    counted = _split(base.symbols)[0] | fronts[source.cost_name] | brought
    grown = coded.code - rest - sum(counted.values()) - sum(nodes[kind] for kind in CODED)
    brought["first table_conv"] = grown
    for node, kernel in zip(planned.network.nodes, planned.kernels, strict=True):
        if node.kind in CODED:
            kernels[costs.cost_name(node.kind, kernel.function)] = brought
            stacks[costs.cost_name(node.kind, kernel.function)] = coded.stack
    kernels.setdefault("table_conv:lg_table_conv_row", brought)
    stacks.setdefault("table_conv:lg_table_conv_row", coded.stack)
    return {
        "nodes": nodes,
        "kernels": kernels,
        "fronts": fronts,
        "binning": binnings,
        "states": measure_states(bench),
        "stacks": stacks,
    }


def measure_states(bench: Bench) -> dict[str, int]:
    """Bytes that the first state of a network brings along, and bytes of each."""
    none, one, several = (bench.image(*probes.remembering(n)).code for n in (0, 1, 1 + probes.MORE))
    each = (several - one) // probes.MORE
    return {"first": one - none - each, "each": each}


def _new(symbols: Symbols, base: Symbols) -> Symbols:
    return {name: size for name, size in symbols.items() if name not in base}


def measure_board(board: str) -> dict[str, Any]:
    """Functions and rest of the smallest program, by channel.

    Raises:
      LogGradError: the board's sources have other bytes of variables than its board.json says.
    """
    found: dict[str, Any] = {}
    facts = boards.read(board)
    for channel, statics in facts["statics"].items():
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(board, Path(work), channel)
            one, several = (bench.image(*probes.repeated("lookup", n)) for n in (1, 1 + probes.MORE))
            if channel in (facts["channel"], "uart") and one.statics != statics:
                raise LogGradError(
                    f"{facts['folder']}/{boards.FILE}: 'statics.{channel}' is {statics}, its sources"
                    f" have {one.statics} bytes of variables: write that there"
                )
            node = (several.code - one.code) // probes.MORE
            found[channel] = {"rest": one.rest - 2 * node, "symbols": _split(one.symbols)[0]}
    return found


def _write(path: Path, sizes: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(sizes, indent=1) + "\n").encode())


def measure_alone(board: str) -> Path:
    """Measure one board, and write it to the file that it has its sizes in."""
    facts, channels = boards.read(board), measure_board(board)
    if boards.is_ours(facts):
        sizes, path = json.loads(footprint.CODE_SIZES.read_text()), footprint.CODE_SIZES
        sizes["boards"] = dict(sorted((sizes["boards"] | {board: channels}).items()))
    else:
        sizes = {"stamp": len(STAMP), "channels": channels}
        path = Path(facts["folder"]) / footprint.CODE_SIZES.name
    _write(path, sizes)
    return path


def main(argv: list[str]) -> None:
    del argv
    board = boards.place(FLAGS.board, FLAGS.boards)
    if board is not None:
        if boards.read(board)["core"] == "host":
            raise LogGradError(
                f"--board={FLAGS.board}: its images have no code sizes; choose a Cortex-M board"
            )
        print(measure_alone(board))
        return
    cores, images = {}, {}
    for board in BOARDS:
        with tempfile.TemporaryDirectory() as work:
            core = boards.read(board)["core"]
            cores[core] = measure_core(board, Path(work))
            print(f"{core}: {len(cores[core]['kernels'])} kernels", flush=True)
    for board in boards.names():
        if boards.read(board)["core"] != "host":
            images[board] = measure_board(board)
            print(f"{board}: {', '.join(images[board])}", flush=True)
    _write(footprint.CODE_SIZES, {"stamp": len(STAMP), "cores": cores, "boards": images})


if __name__ == "__main__":
    cli.run(main)
