// Convolutions, depthwise convolutions and dense layers, forwards and backwards.
//
// A dense layer is a convolution of maps of one pixel. There is no loop over images: where a map has one pixel, the groups
// of a batch take the place of its columns.
#include <algorithm>

#include "network.h"

namespace native {
namespace {

// How the rows of a map are walked: pixels of a row, or, of maps of one pixel, the groups.
struct Walk {
    int groups, rows, columns;
    bool across;
    Walk(const Batch& batch, int rows_, int columns_) : groups(batch.groups), rows(rows_), columns(columns_) {
        across = rows == 1 && columns == 1;
        if (across) std::swap(groups, columns);
    }
    ptrdiff_t step(const Maps& maps, int stride) const { return across ? maps.group() : stride; }
};

bool per_channel(const Layer& layer) { return layer.kind == DEPTHWISE; }

// Where taps of one row or column of a kernel find the output that they helped to make, see Phase.
int floor_divided(int value, int divisor) { return (value - ((value % divisor + divisor) % divisor)) / divisor; }

bool meets(int place, int before, int tap, int stride) { return (place + before - tap) % stride == 0; }

}  // namespace

// Widen the border of the source's map to what this layer reads of it, and of this layer's gradient to what the
// source's needs of that.
void make_borders(Network& network, Layer& layer) {
    const Window& window = layer.window;
    Layer& source = network.source(layer);
    Maps &in = source.value, &out = layer.gradient;
    in.top = std::max(in.top, window.top);
    in.left = std::max(in.left, window.left);
    const int below = (layer.rows - 1) * window.row_stride + window.rows - window.top - source.rows;
    const int beyond = (layer.columns - 1) * window.column_stride + window.columns - window.left - source.columns;
    in.bottom = std::max(in.bottom, below);
    in.right = std::max(in.right, beyond);
    if (!source.learns) return;
    out.top = std::max(0, -floor_divided(window.top - window.rows + 1, window.row_stride));
    out.left = std::max(0, -floor_divided(window.left - window.columns + 1, window.column_stride));
    out.bottom = std::max(0, floor_divided(source.rows - 1 + window.top, window.row_stride) - layer.rows + 1);
    out.right = std::max(0, floor_divided(source.columns - 1 + window.left, window.column_stride) - layer.columns + 1);
}

// To be called when all borders are known.
void place_taps(Network& network, Layer& layer) {
    const Window& window = layer.window;
    Layer& source = network.source(layer);
    for (int row = 0; row < window.rows; row++)
        for (int column = 0; column < window.columns; column++)
            layer.offsets.push_back((row - window.top) * source.value.pitch() + column - window.left);
    if (!source.learns) return;
    for (int row = 0; row < std::min(window.row_stride, source.rows); row++)
        for (int column = 0; column < std::min(window.column_stride, source.columns); column++) {
            Phase phase{row, column, (source.rows - row - 1) / window.row_stride + 1,
                        (source.columns - column - 1) / window.column_stride + 1, {}, {}, {}};
            for (int y = 0; y < window.rows; y++)
                for (int x = 0; x < window.columns; x++) {
                    if (!meets(row, window.top, y, window.row_stride)) continue;
                    if (!meets(column, window.left, x, window.column_stride)) continue;
                    phase.taps.push_back(y * window.columns + x);
                    phase.offsets.push_back((row + window.top - y) / window.row_stride * layer.gradient.pitch() +
                                            (column + window.left - x) / window.column_stride);
                }
            layer.phases.push_back(phase);
        }
}

void convolve(Network& network, Layer& layer, Statistics* statistics) {
    Layer& source = network.source(layer);
    Maps &in = source.value, &out = layer.made();
    const int taps = layer.window.taps(), inputs = source.channels, outputs = layer.channels;
    const float* kernel = network.parameters + layer.kernel;
    if (per_channel(layer)) {
        layer.packed.resize(size_t(outputs) * taps);
        for (int channel = 0; channel < outputs; channel++)
            for (int tap = 0; tap < taps; tap++)
                layer.packed[channel * taps + tap] = kernel[tap * outputs + channel];
    } else {
        const float* mask = source.mask.empty() ? nullptr : source.mask.data();
        pack(outputs, inputs, taps, layer.packed, [&](int o, int i, int tap) {
            return kernel[(size_t(tap) * inputs + i) * outputs + o] * (mask ? mask[i] : 1.0f);
        });
    }
    const Walk walk(network.batch, layer.rows, layer.columns);
    const ptrdiff_t in_step = walk.step(in, layer.window.column_stride), out_step = walk.step(out, 1);
    const int alone = per_channel(layer) ? outputs : 1;
    for (int g = 0; g < walk.groups; g++)
        for (int c = 0; c < alone; c++)
            for (int row = 0; row < walk.rows; row++) {
                const Row from{in.at(g, c, row * layer.window.row_stride, 0), in.plane(), in_step};
                const Row to{out.at(g, c, row, 0), out.plane(), out_step};
                const float* weights = layer.packed.data() + (per_channel(layer) ? c * taps : 0);
                correlate(weights, layer.offsets, per_channel(layer) ? 1 : inputs, per_channel(layer) ? 1 : outputs,
                          from, to, walk.columns, false);
                if (!statistics) continue;
                for (int o = c; o < (per_channel(layer) ? c + 1 : outputs); o++)
                    for (int k = 0; k < (walk.across ? walk.columns : 1); k++)
                        statistics->add(network.batch, walk.across ? k : g, o,
                                        to.start + (o - c) * to.plane + k * to.step, walk.across ? 1 : walk.columns);
            }
}

namespace {

void kernel_gradient(Network& network, Layer& layer) {
    Layer& source = network.source(layer);
    Maps &in = source.value, &out = layer.gradient;
    const int taps = layer.window.taps(), inputs = per_channel(layer) ? 1 : source.channels;
    const int outputs = per_channel(layer) ? 1 : layer.channels, alone = per_channel(layer) ? layer.channels : 1;
    const Walk walk(network.batch, layer.rows, layer.columns);
    std::vector<ptrdiff_t> offsets;
    for (int i = 0; i < inputs; i++)
        for (ptrdiff_t offset : layer.offsets) offsets.push_back(i * in.plane() + offset);
    std::vector<RowPair> rows;
    for (int c = 0; c < alone; c++) {
        rows.clear();
        for (int g = 0; g < walk.groups; g++)
            for (int row = 0; row < walk.rows; row++)
                rows.push_back({in.at(g, c, row * layer.window.row_stride, 0), out.at(g, c, row, 0)});
        network.scratch.assign(offsets.size() * outputs, Vector{});
        Vector* sums = network.scratch.data();
        correlate_gradient(rows, walk.columns, walk.step(in, layer.window.column_stride), walk.step(out, 1), offsets,
                           outputs, out.plane(), sums);
        float* gradient = network.gradients + layer.kernel;
        for (int o = 0; o < outputs; o++)
            for (int i = 0; i < inputs; i++)
                for (int tap = 0; tap < taps; tap++) {
                    const float sum = total(*sums++);
                    if (per_channel(layer))
                        gradient[tap * alone + c] = sum;
                    else
                        gradient[(size_t(tap) * inputs + i) * outputs + o] = source.mask.empty() ? sum : sum * source.mask[i];
                }
    }
}

// The gradient of the source. A mask does not weaken it, see ChannelMask in models/keras_net.py.
void input_gradient(Network& network, Layer& layer) {
    Layer& source = network.source(layer);
    Maps &in = source.gradient, &out = layer.gradient;
    const int channels = source.channels, outputs = layer.channels;
    const bool add = !layer.first_of[0], single = per_channel(layer);
    const float* kernel = network.parameters + layer.kernel;
    const Walk walk(network.batch, source.rows, source.columns);
    for (Phase& phase : layer.phases) {
        const int taps = phase.taps.size();
        if (single) {
            phase.weights.resize(size_t(channels) * taps);
            for (int c = 0; c < channels; c++)
                for (int tap = 0; tap < taps; tap++)
                    phase.weights[c * taps + tap] = kernel[phase.taps[tap] * channels + c];
        } else {
            pack(channels, outputs, taps, phase.weights, [&](int o, int i, int tap) {
                return kernel[(size_t(phase.taps[tap]) * channels + o) * outputs + i];
            });
        }
    }
    const int row_stride = layer.window.row_stride, column_stride = layer.window.column_stride;
    for (int g = 0; g < walk.groups; g++)
        for (int c = 0; c < (single ? channels : 1); c++)
            for (int place = 0; place < source.rows; place++)
                for (Phase& phase : layer.phases) {
                    const int row = (place - phase.row) / row_stride;
                    if (place % row_stride != phase.row) continue;
                    const float* weights = phase.weights.data() + (single ? c * phase.taps.size() : 0);
                    correlate(weights, phase.offsets, single ? 1 : outputs, single ? 1 : channels,
                              Row{out.at(g, c, row, 0), out.plane(), walk.step(out, 1)},
                              Row{in.at(g, c, place, phase.column), in.plane(), walk.step(in, column_stride)},
                              walk.across ? walk.columns : phase.columns, add);
                }
}

}  // namespace

void convolve_back(Network& network, Layer& layer) {
    kernel_gradient(network, layer);
    if (network.source(layer).learns) input_gradient(network, layer);
}

}  // namespace native
