"""search.space.cells: detectors of one stride, whatever is drawn, morphed, narrowed or pruned."""

import collections
import dataclasses
import json

import numpy as np
import pytest

from export.predict.deployed import deployed
from loggrad_tf.detect.grid import Grid
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import zoo
from models.graph import Graph
from models.pruning.channels import uniformly
from search.cost.objectives import Bounds
from search.record.history import Candidate
from search.run.profiles import PROFILES
from search.space import cells, staged
from search.space.cells import STRIDE, assemble, morphs, random_cells, reaches
from search.space.spaces import CellsSpace
from search.space.staged import STARTS, Block, Stage, Staged, Stem, scaled
from search.strategy import floor as floors
from search.strategy.proposal import Settings, build, expected, propose
from tests.support.search_cases import SENSOR, TARGET, changed

SHAPE = (96, 144, 1)
CONV = Block("conv", 3, 2, False)
QUICK = dataclasses.replace(PROFILES["quick"], children=1)


@pytest.fixture(scope="module")
def drawn() -> list[Staged]:
    rng = np.random.default_rng(1)
    return [random_cells(rng, pruned=k % 2 == 0) for k in range(1000)]


def _assembled(genotype: Staged) -> Graph:
    return assemble(genotype, SHAPE, 2)


def _settings(bounds: Bounds, **changes: object) -> Settings:
    settings = Settings(TARGET, QUICK, bounds, SHAPE, 2, workers=1, seed=3, cell_entropy=0.3)
    return changed(settings, **changes)


def test_every_draw_ends_in_cells_of_the_stride(drawn: list[Staged]) -> None:
    for k, genotype in enumerate(drawn):
        graph = _assembled(genotype)
        assert graph.cells == (6, 9) and graph.output_units == 3
        assert (genotype.sparsity is None) == (k % 2 == 1)
        assert not any(op.kind in ("dense", "flatten", "global_avg") for op in graph.ops)
    assert {g.stem.stride for g in drawn} == {1, 2, 4} and {len(g.stages) for g in drawn} == {2, 3, 4}
    blocks = [block for g in drawn for stage in g.stages for block in stage.blocks]
    assert {block.kind for block in blocks} == set(staged.KINDS)
    assert {block.kernel for block in blocks} == set(staged.KERNELS)


@pytest.mark.parametrize("shape", [(120, 160, 1), (100, 150, 1), (34, 50, 1)])
def test_frames_that_are_no_multiples_have_whole_cells(
    shape: tuple[int, int, int], drawn: list[Staged]
) -> None:
    for genotype in drawn[:200]:
        found = assemble(scaled(genotype, 0.1), shape, 1).cells
        assert found is not None and Grid.over(shape[:2], *found).stride == STRIDE


def test_the_hand_made_detector_is_a_point_of_the_space() -> None:
    """But for the padding of pointwise convolutions, which is none."""
    for shape, classes in ((SHAPE, 2), ((120, 160, 1), 1)):
        found = assemble(cells.STARTS["cells"], shape, classes)
        made = zoo.cells(shape[:2], classes)
        points = tuple(
            dataclasses.replace(op, padding="valid") if op.kind == "conv" and op.kernel == (1, 1) else op
            for op in made.ops
        )
        assert found.ops == points


def test_by_hand() -> None:
    """Two stages reach the stride behind a stem of step 4; the third stays there."""
    inverted = Block("inverted", 3, 2, True)
    stages = (Stage(True, 8, (CONV,)), Stage(False, 12, (CONV,)), Stage(True, 12, (inverted,)))
    graph = assemble(Staged(Stem(7, 4, 6), stages, None, False, top=20), (64, 96, 1), 2)
    assert [(op.kind, op.shape) for op in graph.ops] == [
        ("input", (64, 96, 1)),
        ("conv", (16, 24, 6)),
        ("max_pool", (8, 12, 6)),
        ("conv", (8, 12, 8)),
        ("conv", (4, 6, 12)),
        ("conv", (4, 6, 24)),
        ("depthwise", (4, 6, 24)),
        ("conv", (4, 6, 12)),
        ("add", (4, 6, 12)),
        ("conv", (4, 6, 20)),
        ("conv", (4, 6, 3)),
    ]
    assert not graph.ops[-1].bn and not graph.ops[-1].relu


def test_what_is_no_detector_is_refused() -> None:
    short = Staged(Stem(3, 2, 8), (Stage(True, 8, (CONV,)),) * 2, None, False)
    hidden = Staged(Stem(3, 4, 8), short.stages, 20, False)
    for genotype in (short, hidden):
        assert not reaches(genotype)
        with pytest.raises(LogGradError, match="no detector of stride 16 without a dense layer"):
            _assembled(genotype)
        with pytest.raises(LogGradError, match="--start: no detector of stride 16"):
            CellsSpace().start(json.dumps(genotype.to_json()))
    with pytest.raises(LogGradError, match="--start: no network of this space"):
        CellsSpace().start("small_bn")
    assert CellsSpace().start(json.dumps(cells.STARTS["cells"].to_json())) == cells.STARTS["cells"]


def test_every_step_leads_to_a_detector_of_the_stride() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        parent = scaled(random_cells(rng), float(rng.uniform(0.1, 1)))
        for morph in morphs(parent):
            child = morph.apply(rng)
            assert Staged.from_json(json.loads(json.dumps(child.to_json()))) == child
            assert _assembled(child).cells == (6, 9), morph.name
    names = {morph.name for morph in morphs(cells.STARTS["cells"])}
    assert {"stem: step 2", "remove stage 0", "add top", "stage 2: remove block 0"} <= names
    assert "stem: step 1" not in names
    assert not any("head" in name or "hidden" in name for name in names) and "stem: flip stride" not in names
    tight = {morph.name for morph in morphs(STARTS["small_bn"])}
    assert {"stem: step 4", "add stage 3"} <= tight and not {"stem: step 1", "remove stage 0"} & tight


def test_a_child_is_another_detector_and_decided_by_its_generator() -> None:
    def child(seed: int) -> tuple[Staged, str]:
        return CellsSpace().child(
            cells.STARTS["cells"], np.random.default_rng(seed), _assembled, lambda g, exact=False: iter(())
        )

    sorts = collections.Counter[str]()
    for seed in range(80):
        found, name = child(seed)
        assert _assembled(found) != _assembled(cells.STARTS["cells"]) and reaches(found)
        sorts[name.split("; ")[0]] += 1
    assert len(sorts) > 20 and child(5) == child(5)


def test_candidates_keep_their_bounds_and_the_first_is_made_by_hand() -> None:
    bounds = Bounds(0.5, None, 12_000, 800_000, ram=14_000)
    settings, earlier = _settings(bounds, pruning=True), list[Candidate]()
    for index in range(12):
        earlier.append(propose(settings, index, [], earlier))
        graph = expected(earlier[-1].genotype, settings)
        assert graph.cells == (6, 9) and graph.output_units == 3, "pruning leaves the scores"
        found = deployed(graph, settings.target.front_end, settings.target.board)
        assert found.ram <= 14_000
    assert earlier[0].morph.startswith("start") and {c.morph for c in earlier[1:]} == {"random"}


def test_pruning_leaves_the_scores(drawn: list[Staged]) -> None:
    graph = _assembled(drawn[0])
    assert uniformly(graph, 0.8).ops[-1].shape == graph.ops[-1].shape


@pytest.mark.seconds
@pytest.mark.parametrize("format", ["loggrad_1p5", "raw16"])
def test_no_detector_is_below_the_floor(format: str) -> None:
    every = Bounds(0.5, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9)
    settings = _settings(every)
    target = dataclasses.replace(settings.target, front_end=frontend.fixed(format, SENSOR))
    settings = dataclasses.replace(settings, target=target)
    found, rng = floors.floor(settings), np.random.default_rng(0)
    for k in range(24):
        genotype = scaled(random_cells(rng), 0.1 if k % 4 == 0 else 1e-3)
        graph = build(genotype, settings)
        counted = deployed(graph, target.front_end, target.board)
        for name in ("ram", "flash", "latency", "energy"):
            assert getattr(counted, name) >= found.least[name], (name, genotype)


@pytest.mark.seconds
def test_shapes_equal_keras(drawn: list[Staged]) -> None:
    import keras

    from models import keras_net

    for genotype in drawn[:4]:
        assert keras_net.build(_assembled(scaled(genotype, 0.2))).output_shape == (None, 6, 9, 3)
        keras.backend.clear_session()
