/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of a part of a dense layer, from `first` on; four by four. `size`: bytes of weights of each. */
static lg_dense some_outputs(const lg_dense *layer, const span *part, uint32_t size, uint32_t *first)
{
    const uint32_t fours = (layer->out_n + 3u) / 4u;
    const uint32_t begin = fours * part->begin / part->of * 4u;
    lg_dense some = *layer;
    some.out_n = (part->end == part->of ? layer->out_n : fours * part->end / part->of * 4u) - begin;
    some.weights = (const int8_t *)layer->weights + begin * size;
    some.bias += begin;
    some.scales += layer->per_channel != 0u ? begin : 0u;
    *first = begin;
    return some;
}

