"""Networks made by hand that a search may begin with, as points of its space.

A search from nothing spends most of a short budget on finding networks that learn at all; one that
begins with a network that is known to be good spends it on making that smaller or better.
"""

from search.space.genotype import CONV, Block, Genotype, Layer, Pooling


def _small_bn() -> Genotype:
    """:func:`models.zoo.small_bn` with a hidden dense layer, as the space has it, padded if the search is."""
    layers = [
        Layer(CONV, 3, filters, strided=place == 0, prepool=place > 0, bn=True, relu=True)
        for place, filters in enumerate((8, 10, 16, 32))
    ]
    return Genotype(tuple(Block(False, (layer,)) for layer in layers), Pooling("avg", 6), (10,))


STARTS = {"small_bn": _small_bn()}
