// Convolutions, depthwise convolutions and dense layers, forwards and backwards.
//
// A dense layer is a convolution of maps of one pixel. There is no loop over images: where a map has one
// pixel, the groups of a batch take the place of its columns.
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
    ptrdiff_t step(const Maps& maps, int stride) const { return across ? maps.groups_apart() : stride; }
};

bool per_channel(const Layer& layer) { return layer.kind == DEPTHWISE; }

// Where taps of one row or column of a kernel find the output that they helped to make, see Phase.
int floor_divided(int value, int divisor) {
    return (value - ((value % divisor + divisor) % divisor)) / divisor;
}

bool meets(int place, int before, int tap, int stride) { return (place + before - tap) % stride == 0; }

}  // namespace

// Widen the border of the source's map to what this layer reads of it, and of this layer's gradient to what
// the source's needs of that.
void make_borders(Network& network, Layer& layer) {
    const Window& window = layer.window;
    Layer& source = network.source(layer);
    Maps &in = source.value, &out = layer.derived();
    in.top = std::max(in.top, window.top);
    in.left = std::max(in.left, window.left);
    const int below = (layer.rows - 1) * window.row_stride + window.rows - window.top - source.rows;
    const int beyond =
        (layer.columns - 1) * window.column_stride + window.columns - window.left - source.columns;
    in.bottom = std::max(in.bottom, below);
    in.right = std::max(in.right, beyond);
    if (!source.learns) return;
    out.top = std::max(0, -floor_divided(window.top - window.rows + 1, window.row_stride));
    out.left = std::max(0, -floor_divided(window.left - window.columns + 1, window.column_stride));
    out.bottom = std::max(0, floor_divided(source.rows - 1 + window.top, window.row_stride) - layer.rows + 1);
    out.right = std::max(
        0, floor_divided(source.columns - 1 + window.left, window.column_stride) - layer.columns + 1);
}

// To be called when all borders are known.
void place_taps(Network& network, Layer& layer) {
    const Window& window = layer.window;
    Layer& source = network.source(layer);
    std::vector<ptrdiff_t> taps;
    for (int row = 0; row < window.rows; row++)
        for (int column = 0; column < window.columns; column++)
            taps.push_back((row - window.top) * source.value.rows_apart() + column - window.left);
    layer.offsets = in_planes(taps, per_channel(layer) ? 1 : source.channels, source.value.channels_apart());
    if (!source.learns) return;
    for (int row = 0; row < std::min(window.row_stride, source.rows); row++)
        for (int column = 0; column < std::min(window.column_stride, source.columns); column++) {
            Phase phase{row,
                        column,
                        (source.rows - row - 1) / window.row_stride + 1,
                        (source.columns - column - 1) / window.column_stride + 1,
                        {},
                        {},
                        {}};
            for (int y = 0; y < window.rows; y++)
                for (int x = 0; x < window.columns; x++) {
                    if (!meets(row, window.top, y, window.row_stride)) continue;
                    if (!meets(column, window.left, x, window.column_stride)) continue;
                    phase.taps.push_back(y * window.columns + x);
                    phase.offsets.push_back((row + window.top - y) / window.row_stride *
                                                layer.derived().rows_apart() +
                                            (column + window.left - x) / window.column_stride);
                }
            phase.offsets = in_planes(phase.offsets, per_channel(layer) ? 1 : layer.channels,
                                      layer.derived().channels_apart());
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
    const bool alone = per_channel(layer);
    const Steps steps{out.channels_apart(), walk.step(out, 1)};
    const Correlation correlation(layer.offsets, alone ? 1 : outputs, walk.columns,
                                  walk.step(in, layer.window.column_stride), steps, false);
    for (int g = 0; walk.across && g < network.batch.groups; g++) make_ready(network, source, g);
    for (int g = 0; g < walk.groups; g++)
        for (int c = 0; c < (alone ? outputs : 1); c++) {
            if (!walk.across) make_ready(network, source, g, alone ? c : inputs - 1);
            for (int row = 0; row < walk.rows; row++) {
                Vector* to = out.at(g, c, row, 0);
                correlation.row(layer.packed.data() + (alone ? c * taps : 0),
                                in.at(g, c, row * layer.window.row_stride, 0), to);
                if (statistics && !walk.across)
                    for (int o = 0; o < (alone ? 1 : outputs); o++)
                        statistics->add(network.batch, g, c + o, to + o * steps.plane, walk.columns);
            }
        }
    if (statistics && walk.across)
        for (int g = 0; g < network.batch.groups; g++)
            for (int o = 0; o < outputs; o++) statistics->add(network.batch, g, o, out.at(g, o, 0, 0), 1);
}

namespace {

// The gradient of a kernel: sums of a group after the other, of whole vectors, and in the end their totals.
class KernelGradient {
   public:
    KernelGradient(Network& network, Layer& layer)
        : network_(network),
          layer_(layer),
          source_(network.source(layer)),
          walk_(network.batch, layer.rows, layer.columns),
          outputs_(per_channel(layer) ? 1 : layer.channels) {
        network.scratch.assign(layer.offsets.size() * layer.channels, Vector{});
    }

    // Of group g: of channel c of a depthwise convolution, otherwise of all channels from c = 0 on.
    void add(int g, int c) {
        Maps &in = source_.value, &out = layer_.derived();
        rows_.clear();
        for (int row = 0; row < walk_.rows; row++)
            rows_.push_back({in.at(g, c, row * layer_.window.row_stride, 0), out.at(g, c, row, 0)});
        correlate_gradient(rows_, walk_.columns, walk_.step(in, layer_.window.column_stride),
                           Steps{out.channels_apart(), walk_.step(out, 1)}, layer_.offsets, outputs_,
                           network_.scratch.data() + c * layer_.offsets.size());
    }

    void finish() {
        const int taps = layer_.window.taps(), inputs = layer_.offsets.size() / taps;
        const Vector* sums = network_.scratch.data();
        float* gradient = network_.gradients + layer_.kernel;
        for (int o = 0; o < layer_.channels; o++)
            for (int i = 0; i < inputs; i++)
                for (int tap = 0; tap < taps; tap++) {
                    const float mask = per_channel(layer_) || source_.mask.empty() ? 1.0f : source_.mask[i];
                    gradient[(size_t(tap) * inputs + i) * layer_.channels + o] = total(*sums++) * mask;
                }
    }

   private:
    Network& network_;
    Layer &layer_, &source_;
    Walk walk_;
    int outputs_;
    std::vector<RowPair> rows_;
};

// The gradient of the source. A mask does not weaken it, see ChannelMask in models/keras_net.py.
class InputGradient {
   public:
    InputGradient(Network& network, Layer& layer)
        : layer_(layer), source_(network.source(layer)), walk_(network.batch, source_.rows, source_.columns) {
        const int channels = source_.channels, outputs = layer.channels;
        const bool alone = per_channel(layer);
        const float* kernel = network.parameters + layer.kernel;
        Maps &in = source_.gradient, &out = layer.derived();
        for (Phase& phase : layer.phases) {
            const int taps = phase.taps.size();
            if (alone) {
                phase.weights.resize(size_t(channels) * taps);
                for (int c = 0; c < channels; c++)
                    for (int tap = 0; tap < taps; tap++)
                        phase.weights[c * taps + tap] = kernel[phase.taps[tap] * channels + c];
            } else {
                pack(channels, outputs, taps, phase.weights, [&](int o, int i, int tap) {
                    return kernel[(size_t(phase.taps[tap]) * channels + o) * outputs + i];
                });
            }
            const Steps steps{in.channels_apart(), walk_.step(in, layer.window.column_stride)};
            correlations_.emplace_back(phase.offsets, alone ? 1 : channels,
                                       walk_.across ? walk_.columns : phase.columns, walk_.step(out, 1),
                                       steps, !layer.first_of[0]);
        }
    }

    // Channels as KernelGradient has them.
    void add(int g, int c) {
        Maps &in = source_.gradient, &out = layer_.derived();
        for (int row = 0; row < source_.rows; row++)
            for (size_t k = 0; k < layer_.phases.size(); k++) {
                const Phase& phase = layer_.phases[k];
                if (row % layer_.window.row_stride != phase.row) continue;
                correlations_[k].row(phase.weights.data() + c * phase.taps.size(),
                                     out.at(g, c, (row - phase.row) / layer_.window.row_stride, 0),
                                     in.at(g, c, row, phase.column));
            }
    }

   private:
    Layer &layer_, &source_;
    Walk walk_;
    std::vector<Correlation> correlations_;
};

}  // namespace

void convolve_back(Network& network, Layer& layer) {
    Layer& source = network.source(layer);
    const int groups = network.batch.groups;
    const bool alone = per_channel(layer);
    KernelGradient kernel(network, layer);
    std::unique_ptr<InputGradient> input(source.learns ? new InputGradient(network, layer) : nullptr);
    // A map of one pixel has all groups in one row; otherwise all is done while a group, or a plane, is in
    // the cache.
    if (layer.pixel()) {
        for (int g = 0; g < groups; g++)
            for (int c = 0; c < layer.channels; c++) turn_back(network, layer, g, c);
        for (int c = 0; c < (alone ? layer.channels : 1); c++) {
            kernel.add(0, c);
            for (int g = 0; input && g < (source.pixel() ? 1 : groups); g++) input->add(g, c);
        }
        for (int g = 0; input && g < groups; g++) passed_back(network, layer, 0, g);
    }
    for (int g = 0; !layer.pixel() && g < groups; g++)
        for (int c = 0; c < (alone ? layer.channels : 1); c++) {
            const int last = alone ? c : source.channels - 1;
            for (int o = c; o < (alone ? c + 1 : layer.channels); o++) turn_back(network, layer, g, o);
            make_ready(network, source, g, last);
            kernel.add(g, c);
            if (!input) continue;
            input->add(g, c);
            for (int i = c; i <= last; i++) passed_back(network, layer, 0, g, i);
        }
    kernel.finish();
}

}  // namespace native
