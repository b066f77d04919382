"""Instructions and cycles that are predicted, against what images execute."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from export import boards, calibrate, firmware
from export.calibrate import Sample
from export.plan import plan
from export.predict import chains, costs, loops, power, probes
from firmware import build, frame_cycles, project, run
from loggrad_tf.errors import LogGradError

# Of ../shared/models: networks of MLPerf Tiny, and small ones for wake words.
NETWORKS = (
    *("vww_96_int8", "zoo/kws_ref_model", "zoo/ad01_int8", "zoo/pretrainedResnet_quant"),
    *("zoo/str_ww_ref_model", "zoo/wv_k_8_c_5", "zoo/wv_mcunet_5fps", "zoo/neuralspot_har"),
)
# A class of layers is told from the noise of its rows' calls where it takes this part of a frame.
SHARE = 0.03


def turns_of(graph: probes.QuantGraph, core: str, place: int = 0) -> loops.Counts:
    made = plan.plan(graph, core)
    node, kernel = made.network.nodes[place], made.kernels[place]
    return {name: n for name, n in loops.counts(made.network, node, kernel, core).items() if n}


def test_turns_of_a_convolution_are_those_of_its_c() -> None:
    """5 x 7 pixels of 8 channels to 20: four windows share pixels of two quads, three have runs of 6 quads;
    ten pairs."""
    found = turns_of(probes.conv((5, 7, 8), 20, 3, 1), "cortex-m4")
    rows, pairs = 5, 5 * 10
    assert found == {
        "row": rows,
        "group": rows * 2,
        "slid_run": rows * 3,
        "slid": rows * 3 * 2,
        "run": rows * 3,
        "widened_3": rows * 18,
        "pass": rows * 2,
        "pair_4": pairs,
        "pair_3": pairs,
        "quad_4": pairs * 18,
        "quad_3": pairs * 18,
        "turn": 2 * pairs * 2,
    }
    behind = turns_of(probes.conv((5, 7, 8), 20, 3, 1, low=0), "cortex-m4")
    assert (behind["rectified_4"], behind["rectified_3"]) == (pairs, pairs) and "pair_4" not in behind
    portable = turns_of(probes.conv((5, 7, 8), 20, 3, 1), "cortex-m0")
    assert portable["tap_four"] == 5 * 4 * 5 * 3 * 24 and "tap_one" not in portable


def test_turns_of_windows_that_are_packed() -> None:
    """5 x 7 pixels are 20 pairs, 20 channels two groups; 72 taps are packed for each, 27 once for both."""
    large = turns_of(probes.conv((5, 7, 8), 20, 3, 1), "cortex-m0")
    assert large["packed_tap"] == 20 * 2 * 72 and large["pass_four"] == 20 * 5 * 3 and "odd_tap" not in large
    small = turns_of(probes.conv((5, 7, 3), 21, 3, 1), "cortex-m0")
    assert small["packed_tap"] == 20 * 27 and small["tap_one"] == 20 * 27 and small["odd_tap"] == 20 * 5
    pooled = turns_of(probes.conv((4, 6, 8), 20, 3, 1, 2), "cortex-m0")
    assert pooled["group"] == 2 * 3 * 2 * 3 and pooled["put"] == 2 * 3 * 20


def test_turns_of_pairs_of_pixels() -> None:
    """7 pixels are three pairs and one; windows of 72 bytes are five vectors, laid out four at a time."""
    found = turns_of(probes.conv((5, 7, 8), 20, 3, 1), "cortex-m55")
    assert (found["pair"], found["single"]) == (15, 5) and found["pair_vector"] == 15 * 5 * 5
    assert found["copied_run"] == 5 * 2 * 3 and found["pair_away"] == 15 * 5
    within = turns_of(probes.conv((5, 7, 32), 20, 1, 1, low=0), "cortex-m55")
    assert "copy" not in within and "pair_away" not in within and within["single_block"] == 5 * 5


def test_turns_of_sixteen_channels() -> None:
    """40 channels are two groups and eight that are left; of 8 channels two pixels make a group."""
    many = turns_of(probes.depthwise((3, 5, 40), 3), "cortex-m55")
    assert (many["group"], many["any"], many["skipped"]) == (3 * 5 * 2, 3 * 5, 3 * 5)
    few = turns_of(probes.depthwise((3, 5, 8), 3), "cortex-m55")
    assert (few["group"], few["any"]) == (3 * 2, 3) and "skipped" not in few
    tall = turns_of(probes.depthwise((9, 2, 32), (5, 1)), "cortex-m55")
    assert tall["any"] == 9 * 2 * 2 and tall["any_pair"] == 9 * 2 * 2 * 2 and tall["any_odd"] == 9 * 2 * 2


def test_turns_of_a_pool_leave_out_what_lies_outside() -> None:
    found = turns_of(probes.pool("max_pool", (4, 5, 4), 3, 1), "cortex-m4")
    assert found["quad_tap"] == (2 + 3 + 3 + 2) * (2 + 3 + 3 + 3 + 2)


def test_turns_of_depthwise_rows_that_slide_and_do_not() -> None:
    """5 pixels of 9 channels: three groups of four; 7 columns are four entries, the first ends no window."""
    slid = turns_of(probes.depthwise((3, 5, 9), 3), "cortex-m4")
    assert slid["order"] == 3 * 3 and slid["columns"] == 3 * 3 * 4
    assert slid["channel_one"] == 3 * 9 and slid["entry_one"] == 3 * 9 * 3
    for width in (1, 3):
        tall = turns_of(probes.depthwise((9, width, 8), (9, 1)), "cortex-m4")
        assert tall["pixel"] == 9 * width and tall["pair"] == 9 * width * 2 * 5


def test_tails_of_runs_share_quads() -> None:
    """3x3 of 3 channels: three runs of two quads, and one quad of what is left of them."""
    found = turns_of(probes.conv((4, 8, 3), 8, 3, 1), "cortex-m4")
    assert found["widened_4"] == 4 * 2 * 6 and found["tail"] == 4 * 2 * 4
    assert found["quad_4"] == 4 * 2 * 4 * 7


def test_large_windows_are_summed_by_kernel_rows() -> None:
    """Four windows of 3x3x64, three rows of 48 quads, leave room for the sums of 64 channels of the 66."""
    found = turns_of(probes.conv((2, 4, 64), 66, 3, 1), "cortex-m4")
    assert found["by_rows"] == 2 * 2 * 3 and found["slid"] == 2 * 2 * 3 * 16
    assert found["held_4"] == 2 * 3 * 33 and found["quad_4"] == 2 * 3 * 33 * 48
    assert found["put"] == 2 * 4 * 66 and "widened_4" not in found


def test_fits_find_the_costs_that_there_are() -> None:
    rng, known = np.random.default_rng(3), {("a", "row"): 300.0, ("a", "tap"): 2.5, ("b", "row"): 40.0}
    samples = []
    for _ in range(40):
        turns = {key: float(rng.integers(1, 5000)) for key in known}
        spent = round(sum(known[key] * n for key, n in turns.items()))
        samples.append(Sample(turns, {("cycles", "x"): spent}))
    found = calibrate.fit(samples, ("cycles", "x"))
    assert {key: found[key[0]][key[1]] for key in known} == pytest.approx(known, rel=1e-3)


def test_a_loop_that_no_probe_turns_is_an_error() -> None:
    samples = [Sample({("a", "row"): 1.0, ("a", "tap"): 0.0}, {("cycles", "x"): 5000})]
    with pytest.raises(LogGradError, match=r"x: no probe turns \[\('a', 'tap'\)\]: add one to .*chains.py"):
        calibrate.fit(samples, ("cycles", "x"))


def test_probes_turn_every_loop_of_every_kernel() -> None:
    """And costs.json has them all, so no network meets a loop without a cost."""
    for board in ("mps2-an386", "microbit", "mps3-an547"):
        facts = boards.read(board)
        most: dict[tuple[str, str], float] = defaultdict(float)
        for made, source in calibrate._plans(facts):
            for own in costs.turns(made, source, facts["core"]):
                for key, n in own.items():
                    most[key] = max(most[key], n)
        assert not [key for key, n in most.items() if n == 0]
        known = costs._load()["instructions"][facts["core"]]
        assert {(name, loop) for name, of in known.items() for loop in of} == set(most)


def test_chains_share_images() -> None:
    found = list(chains.networks())
    assert len(found) < 20 and max(len(graph.ops) for graph, _ in found) >= 30


def test_cores_that_share_code_have_their_own_cycles() -> None:
    graph, source = probes.chain((12, 12, 8), lambda shape: probes.conv(shape, 8, 3, 1))
    made = plan.plan(graph, "cortex-m0")
    of = {core: costs.cycles(made, source, core) for core in ("cortex-m0", "cortex-m0plus")}
    executed = costs.predict(made, source, "cortex-m0plus")
    assert executed == costs.predict(made, source, "cortex-m0")
    assert sum(executed) < sum(of["cortex-m0plus"]) < sum(of["cortex-m0"])
    fast = plan.plan(graph, "cortex-m7")
    each = power.PER_INSTRUCTION["cortex-m7"]
    assert sum(costs.cycles(fast, source, "cortex-m7")) == pytest.approx(
        each * sum(costs.predict(fast, source, "cortex-m7")), rel=1e-3
    )


@pytest.mark.qemu
@pytest.mark.seconds
@pytest.mark.parametrize("name", NETWORKS)
def test_cycles_of_public_networks(name: str, shared: Path, tmp_path: Path) -> None:
    """Within 5 % of the estimate, the whole and every class of layers."""
    model = shared / "models" / f"{name}.tflite"
    made = firmware.make(model, "mps2-an386", firmware.Options(1))
    firmware.write(made, tmp_path / "p")
    of = project.load(tmp_path / "p")
    build.build(of)
    found = frame_cycles.estimate(of, run.load_vectors(of).frames)
    assert found.predicted == pytest.approx(found.total.cycles, rel=0.05)
    assert made.engine.plan is not None
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    names = ["input", *(kernel.function for kernel in made.engine.plan.kernels)]
    for function, node, count in zip(names, found.nodes, found.counts, strict=True):
        assert node.cycles is not None
        classes[function][0] += node.cycles
        classes[function][1] += count.cycles
    for function, (predicted, estimated) in classes.items():
        if estimated > SHARE * found.total.cycles:
            assert predicted == pytest.approx(estimated, rel=0.05), function
