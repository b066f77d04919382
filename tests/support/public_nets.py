"""Random int8 flatbuffers of the shapes public tinyML networks have, each from a seed.

Weights are random, scales are calibrated on random images (see :class:`tests.support.quantized.Net`).
"""

from tests.support.quantized import Net


def resnet8(seed: int = 10) -> bytes:
    """MLPerf Tiny image classification: 32x32x3, three stacks of 16, 32 and 64 channels."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.input((32, 32, 3)), 16)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(net.conv(x, filters, 3, stride), filters, 3, act="none")
        short = x if stride == 1 else net.conv(x, filters, 1, stride, act="none")
        x = net.add(short, y, "relu")
    x = net.pool(x, "avg", 8, 8)
    return net.flatbuffer(net.softmax(net.dense(net.reshape(x, (64,)), 10)))


def ds_cnn(seed: int = 11, flat: bool = True) -> bytes:
    """MLPerf Tiny keyword spotting: 49x10x1, given flat or as a map; average over everything."""
    net = Net(seed, calibrated=True)
    x = net.reshape(net.input((490,)), (49, 10, 1)) if flat else net.input((49, 10, 1))
    x = net.conv(x, 64, (10, 4), 2)
    for _ in range(4):
        x = net.conv(net.depthwise(x), 64, 1)
    x = net.pool(x, "avg", (25, 5), (25, 5))
    return net.flatbuffer(net.softmax(net.dense(net.reshape(x, (64,)), 12)))


def ds_cnn_map(seed: int = 12) -> bytes:
    return ds_cnn(seed, flat=False)


def autoencoder(seed: int = 13) -> bytes:
    """MLPerf Tiny anomaly detection: 640 values through 8 and back."""
    net = Net(seed, calibrated=True)
    x = net.input((640,))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, units, "relu")
    return net.flatbuffer(net.dense(x, 640))


def mobilenet_v1(seed: int = 14) -> bytes:
    """MobileNetV1, width 0.25, 48x48x1."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.input((48, 48, 1)), 8, 3, 2, act="relu6")
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1)):
        x = net.conv(net.depthwise(x, 3, stride, act="relu6"), filters, 1, act="relu6")
    return net.flatbuffer(net.softmax(net.dense(net.mean(x), 2)))


def mobilenet_v2(seed: int = 15) -> bytes:
    """Inverted residuals with linear ends, padded by PAD ahead of strided convolutions."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.pad(net.input((25, 31, 3)), 0, 1, 0, 1), 8, 3, 2, same=False, act="relu6")
    x = net.conv(net.depthwise(x, act="relu6"), 6, 1, act="none")
    for filters, stride in ((10, 2), (10, 1), (14, 2), (14, 1)):
        y = net.conv(x, 6 * net.shape(x)[-1], 1, act="relu6")
        if stride == 2:
            y = net.depthwise(net.pad(y, 1, 1, 1, 1), 3, 2, same=False, act="relu6")
        else:
            y = net.depthwise(y, act="relu6")
        y = net.conv(y, filters, 1, act="none")
        x = net.add(x, y) if stride == 1 else y
    x = net.mean(net.conv(x, 40, 1, act="relu6"), keep=True)
    return net.flatbuffer(net.dense(net.squeeze(x, (1, 2)), 5, per_channel=True))


def fire(seed: int = 16) -> bytes:
    """SqueezeNet's fire modules and an inception block with four branches, joined by channels."""
    net = Net(seed, calibrated=True)
    x = net.pool(net.conv(net.input((33, 29, 3)), 12, 3, 2), "max", 3, 2)
    for squeeze, expand in ((4, 8), (6, 10)):
        s = net.conv(x, squeeze, 1)
        x = net.concat([net.conv(s, expand, 1), net.conv(s, expand, 3)])
    towers = [net.conv(x, 6, 1), net.conv(net.conv(x, 4, 1), 7, 3), net.conv(net.conv(x, 3, 1), 5, 5)]
    x = net.concat([*towers, net.conv(net.pool(x, "max", 3, 1, same=True), 3, 1)])
    x = net.pool(x, "max", 3, 2, same=True)
    return net.flatbuffer(net.softmax(net.mean(net.conv(x, 9, 1))))


def joined(seed: int = 17) -> bytes:
    """Maps joined by rows and by columns, padded channels, vectors joined before the last layer."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.input((11, 9, 2)), 5)
    rows = net.concat([net.conv(x, 6, 3, same=False), net.conv(x, 6, 3, (2, 1), same=False)], axis=1)
    tall = net.concat([net.conv(x, 6), net.conv(x, 6, 3, (2, 1)), net.depthwise(net.conv(x, 6, 1))], axis=1)
    wide = net.concat([net.conv(tall, 4, 3, (3, 1)), net.conv(tall, 4, 1, (3, 2))], axis=2)
    wide = net.pad(wide, 1, 0, 2, 1, channels=(1, 2))
    features = [net.mean(rows), net.mean(net.conv(wide, 7, 3, 2)), net.dense(wide, 5, "relu")]
    return net.flatbuffer(net.dense(net.concat(features, axis=1), 4))


def micro_speech(seed: int = 18) -> bytes:
    """TFLite Micro's micro speech: 49x40 features given flat, one depthwise of multiplier 8, dense."""
    net = Net(seed, calibrated=True)
    x = net.reshape(net.input((1960,)), (49, 40, 1))
    x = net.depthwise(x, (10, 8), 2, multiple=8)
    return net.flatbuffer(net.softmax(net.dense(x, 4)))


def audio(seed: int = 19) -> bytes:
    """One-dimensional: [1, 120, 4], kernels of one row, growing dilation, residual additions."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.expand_dims(net.input((120, 4)), 1), 8, (1, 5), (1, 2))
    for dilation in (1, 2, 4):
        y = net.depthwise(x, (1, 3), dilation=(1, dilation))
        x = net.add(net.conv(y, 8, (1, 3), act="none", dilation=(1, dilation)), x, "relu")
        x = net.pool(x, "max", (1, 2), (1, 2))
    return net.flatbuffer(net.dense(net.squeeze(x, (1,)), 6))


def float_edges(seed: int = 20) -> bytes:
    """float32 in and out, LOGISTIC at the end."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.edge_input((14, 15, 1)), 6, 5, 2)
    x = net.lookup(net.conv(x, 8, 3, act="none", dilation=2), "TANH")
    x = net.dense(net.mean(x, keep=True), 3, keep=True)
    return net.flatbuffer(net.edge_output(net.lookup(x, "LOGISTIC")))


def byte_edges(seed: int = 21) -> bytes:
    """uint8 in and out; a dozen operators of one value."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.edge_input((9, 12, 3), "uint8"), 7, 3, (1, 2), act="none")
    for code in ("LEAKY_RELU", "HARD_SWISH", "QUANTIZE", "RELU"):
        x = net.conv(net.lookup(x, code), 7, 1, act="none")
    x = net.lookup(net.conv(x, 5, act="relu_n1_to_1"), "RELU_N1_TO_1")
    return net.flatbuffer(net.edge_output(net.dense(net.lookup(x, "RELU6"), 4), "uint8"))


def scaled(seed: int = 22) -> bytes:
    """Constants multiplied and added per channel, per element and as one value."""
    net = Net(seed, calibrated=True)
    x = net.conv(net.with_constant(net.input((13, 16, 1)), ()), 6, act="none")
    x = net.with_constant(x, (6,), act="relu6")
    x = net.with_constant(net.conv(x, 8, 3, 2), (1, 1, 1, 8), first=True)
    x = net.with_constant(x, (8,), "ADD", "relu")
    x = net.with_constant(net.with_constant(x, net.shape(x)), (1, *net.shape(x)), "ADD", first=True)
    x = net.with_constant(net.mean(net.conv(x, 10)), (1, 10), "MUL", "relu")
    return net.flatbuffer(net.dense(net.with_constant(x, (1,), "ADD"), 3))


PUBLIC_NETS = {
    "resnet8": resnet8,
    "ds_cnn": ds_cnn,
    "ds_cnn_map": ds_cnn_map,
    "autoencoder": autoencoder,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "fire": fire,
    "joined": joined,
    "micro_speech": micro_speech,
    "audio": audio,
    "float_edges": float_edges,
    "byte_edges": byte_edges,
    "scaled": scaled,
}
