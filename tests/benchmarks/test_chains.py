"""benchmarks.chains: a chain of layers is the network that it says."""

import pytest

from benchmarks.chains import chain
from loggrad_tf.errors import LogGradError
from models import zoo


def test_a_chain_is_the_network_that_it_says() -> None:
    assert chain("8s2,p,10,p,16,p,32", 96, 3) == zoo.small_bn(96, 3)
    ops = chain("4k5s2,p,r4,6k1,f", 32, 3).ops
    assert [(op.kind, op.shape) for op in ops[1:]] == [
        ("conv", (16, 16, 4)),
        ("max_pool", (8, 8, 4)),
        ("conv", (8, 8, 4)),
        ("add", (8, 8, 4)),
        ("conv", (8, 8, 6)),
        ("flatten", (384,)),
        ("dense", (3,)),
    ]
    assert ops[1].kernel == (5, 5) and ops[1].stride == (2, 2)


@pytest.mark.parametrize("shape", ["8s2,q", "8,,8", "k3", ""])
def test_what_is_no_layer_is_named(shape: str) -> None:
    with pytest.raises(LogGradError, match="is no layer: write 8, 8k5, 8s2, r8, p or f"):
        chain(shape, 32, 3)
