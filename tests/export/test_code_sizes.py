"""Code of networks that remember, or look up codes, as measured, against images."""

from pathlib import Path

import pytest

from export import boards, code_sizes
from export.plan import memory
from export.plan.plan import plan
from export.predict import footprint, probes


def test_the_first_additions_remember() -> None:
    graph, _ = probes.remembering(2)
    network = plan(graph, "cortex-m0").network
    assert len(network.states) == 2 and len(network.nodes) == 1 + probes.MORE
    assert [node.inputs[1] in network.remembered for node in network.nodes[:3]] == [True, True, False]


@pytest.mark.qemu
@pytest.mark.seconds
@pytest.mark.parametrize("probe", [probes.remembering(2), probes.remembering(5), probes.coded()])
def test_flash_of_states_and_codes(probe: probes.Probe, tmp_path: Path) -> None:
    """Within 2 % of the code of an image."""
    graph, source = probe
    made = plan(graph, "cortex-m4", source.levels)
    predicted = footprint.flash_bytes(made, source, boards.read("mps2-an386"))
    image = code_sizes.Bench("mps2-an386", tmp_path).image(graph, source)
    assert predicted - memory.data_bytes(made, source) == pytest.approx(image.code, rel=0.02)
