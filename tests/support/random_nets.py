"""Random networks: any operators in any order, with branches that join again. A seed gives one network."""

import numpy as np

from tests.support.quantized import Net

MAX_SIDE, MAX_CHANNELS = 19, 9


def random_net(seed: int, levels: bool = False) -> bytes:
    """A flatbuffer of 3 to 10 operators. ``levels``: one input channel of scale 1, zero point 0."""
    net = Net(seed, calibrated=True)
    draw = np.random.default_rng(seed)
    sides = tuple(int(n) for n in draw.integers(5, MAX_SIDE, 2))
    x = net.input((*sides, 1), 1.0, 0) if levels else net.input((*sides, int(draw.integers(1, 5))))
    if levels:
        x = _conv(net, draw, x)
    for _ in range(int(draw.integers(2, 8))):
        x = _step(net, draw, x)
    return net.flatbuffer(_end(net, draw, x))


def _step(net: Net, draw: np.random.Generator, x: int) -> int:
    kinds = ["conv", "conv", "depthwise", "max", "avg", "residual", "concat", "pad", "relu", "pointwise"]
    kind = str(draw.choice(kinds))
    height, width, channels = net.shape(x)
    if kind == "conv":
        return _conv(net, draw, x)
    if kind == "pointwise":
        return net.conv(x, int(draw.integers(1, 3 * MAX_CHANNELS)), 1, int(draw.integers(1, 3)))
    if kind == "depthwise" and channels <= MAX_CHANNELS:
        multiple = int(draw.choice([1, 1, 1, 2]))
        kernel = _kernel(draw, 5)
        return net.depthwise(x, kernel, int(draw.integers(1, 3)), True, multiple=multiple)
    if kind in ("max", "avg"):
        size = int(draw.integers(2, 4))
        stride = int(draw.integers(1, size + 1))
        same = bool(draw.random() < 0.4) or min(height, width) < size
        return net.pool(x, kind, size, stride, same=same)
    if kind == "residual":
        y = _same_conv(net, draw, x, channels)
        if draw.random() < 0.5:
            y = _same_conv(net, draw, y, channels)
        return net.add(*([x, y] if draw.random() < 0.5 else [y, x]), str(draw.choice(["none", "relu"])))
    if kind == "concat" and channels <= MAX_CHANNELS:
        return net.concat([_same_conv(net, draw, x, int(draw.integers(1, 5))) for _ in range(2)])
    if kind == "pad":
        return net.pad(x, *(int(n) for n in draw.integers(0, 3, 4)))
    return net.relu(x, same_scale=bool(draw.random() < 0.5))


def _kernel(draw: np.random.Generator, most: int) -> tuple[int, int]:
    height, width = (int(n) for n in draw.integers(1, most + 1, 2))
    return height, width


def _conv(net: Net, draw: np.random.Generator, x: int) -> int:
    height, width, _ = net.shape(x)
    kernel = _kernel(draw, 6)
    same = bool(draw.random() < 0.6) or kernel[0] > height or kernel[1] > width
    act = str(draw.choice(["none", "relu", "relu6"]))
    x = net.conv(x, int(draw.integers(1, MAX_CHANNELS + 1)), kernel, int(draw.integers(1, 3)), same, act)
    if draw.random() < 0.3 and min(net.shape(x)[:2]) >= 2:
        x = net.pool(x, "max", 2, 2)
    return x


def _same_conv(net: Net, draw: np.random.Generator, x: int, filters: int) -> int:
    dilation = int(draw.choice([1, 1, 2]))
    return net.conv(x, filters, int(draw.choice([1, 3, 5])), act="none", dilation=dilation)


def _end(net: Net, draw: np.random.Generator, x: int) -> int:
    flat = (int(np.prod(net.shape(x))),)
    x = net.mean(x) if draw.random() < 0.5 else net.reshape(x, flat)
    return net.dense(x, int(draw.integers(1, 6)), per_channel=bool(draw.random() < 0.5))
