// A network in memory: its layers, their maps, and where their weights lie.
#pragma once

#include <memory>
#include <vector>

#include "correlation.h"
#include "vectors.h"

namespace native {

// What memory is for: maps of all groups, of one group after the other, or of one channel of one group after
// the other.
enum Keeps { ALL, GROUP, PLANE };

// Maps of all images of a batch: vectors [group][channel][row][column], with a border of zeros that nothing
// writes.
struct Maps {
    int channels = 0, rows = 0, columns = 0;
    int top = 0, bottom = 0, left = 0, right = 0;
    Keeps keeps = ALL;
    std::vector<Vector> memory;

    void allocate(int groups, Keeps what) {
        keeps = what;
        const ptrdiff_t planes = keeps == PLANE   ? 1
                                 : keeps == GROUP ? channels
                                                  : ptrdiff_t(channels) * groups;
        memory.assign(planes * rows_apart() * (top + rows + bottom), Vector{});
    }
    // From a row, a channel, a group to the next.
    ptrdiff_t rows_apart() const { return left + columns + right; }
    ptrdiff_t channels_apart() const { return keeps == PLANE ? 0 : rows_apart() * (top + rows + bottom); }
    ptrdiff_t groups_apart() const { return keeps == ALL ? channels * channels_apart() : 0; }
    Vector* at(int g, int channel, int row, int column) {
        return memory.data() + g * groups_apart() + channel * channels_apart() + (top + row) * rows_apart() +
               left + column;
    }
};

enum Kind { INPUT, CONV, DEPTHWISE, DENSE, ADD, MAX_POOL, AVG_POOL, GLOBAL_AVG, FLATTEN };

// A sliding window: kernel and stride of rows and columns, and rows and columns of padding before the map.
struct Window {
    int rows, columns, row_stride, column_stride, top, left;
    int taps() const { return rows * columns; }
};

// The places of an input's gradient that the same taps of a kernel reach, stride apart from each other.
struct Phase {
    int row, column, rows, columns;
    std::vector<ptrdiff_t> offsets;  // in the gradient of the output
    std::vector<int> taps;
    std::vector<float> weights;
};

// One operation, the batch norm and the ReLU behind it, and the maps that they make.
//
// `linear` is what the operation gives, `value` what is left of it behind batch norm and ReLU. `gradient` is
// the gradient of the loss by `value`, `turned` by `linear`. Without a batch norm `value` is `linear` and
// `gradient` is `turned`, made in place. With one, `turned` is made piece by piece, and so is `value` if a
// single layer reads it, forwards and again backwards: what is made anew in the cache costs less than what is
// read from memory.
//
// A 2x2 max-pool that alone reads a layer with a batch norm is made together with that (`pool`, `within`):
// the map between them is never written, and the layer's `value`, of the pool's size, holds those of `linear`
// that the pool lets through.
struct Layer {
    Kind kind;
    int channels, rows, columns;
    Window window;
    bool normed, relu;
    std::vector<int> sources;
    // For each source: nothing has written its gradient before this layer does, or will after it.
    std::vector<char> first_of, last_of;
    int readers = 0;
    bool learns = false;  // has a gradient: it or a layer before it has weights
    int pool = -1, within = -1;
    Maps linear, value, gradient, turned;
    int ready = 0;  // planes whose `value` is there, counted through all groups; of those that share memory
                    // the last one

    // In Network::parameters and, for the last two, in Network::averages.
    size_t kernel = 0, bias = 0, gamma = 0, beta = 0, mean = 0, variance = 0;
    size_t kernel_size = 0;

    std::vector<float>
        mask;  // 0 or 1 a channel, through which convolutions, dense and flatten see it; or empty

    // Of a batch norm, for each channel: value = scale * linear + shift, and what its gradient needs.
    std::vector<float> scale, shift, batch_mean, batch_inverse, slope, level;
    std::vector<Vector> sums;  // of the gradient, and of its products with what exceeds the mean

    // Of a layer with a kernel: its offsets in the source's map, weights as a Correlation reads them.
    std::vector<ptrdiff_t> offsets;
    std::vector<float> packed;
    std::vector<Phase> phases;

    bool weighted() const { return kind == CONV || kind == DEPTHWISE || kind == DENSE; }
    bool pixel() const { return rows == 1 && columns == 1; }
    Maps& made() { return normed ? linear : value; }
    Maps& derived() { return normed ? turned : gradient; }
};

// Which lanes of a group hold images.
struct Batch {
    int images, groups;
    bool full(int g) const { return (g + 1) * LANES <= images; }
    Lanes lanes(int g) const {
        Lanes valid;
        for (int lane = 0; lane < LANES; lane++) valid[lane] = g * LANES + lane < images ? -1 : 0;
        return valid;
    }
};

// `parameters` has, layer by layer, kernel, bias, gamma and beta, `gradients` theirs, `averages` the moving
// mean and variance of the batch norms. All three are the caller's.
struct Network {
    std::vector<Layer> layers;
    Batch batch;
    bool population;  // the moving variance estimates the population's, N - 1 in the divisor
    float* parameters;
    float* gradients;
    float* averages;
    size_t parameter_count = 0;
    std::vector<Vector> scratch;

    Layer& source(const Layer& layer, int which = 0) { return layers[layer.sources[which]]; }
};

constexpr float EPSILON = 1e-3f, MOMENTUM = 0.9f;  // of models/batch_norm.py

// Each of these makes a layer's maps from those of its sources, or adds to their gradients and to those of
// the weights. convolution.cpp: conv, depthwise and dense.
void make_borders(Network&, Layer&);
void place_taps(Network&, Layer&);
void convolve(Network&, Layer&, class Statistics*);
void convolve_back(Network&, Layer&);

// reduction.cpp: the layers without weights.
void reduce(Network&, Layer&, class Statistics*);
void reduce_back(Network&, Layer&);

// normalisation.cpp: biases, batch norm and ReLU. What concerns one plane is done when the next layer is at
// it, while it is in the cache.
void conclude(Network&, Layer&, const class Statistics*);
void make_ready(Network&, Layer&, int g, int channel);
void make_ready(Network&, Layer&, int g);
void passed_back(Network&, Layer&, int which, int g, int channel);
void passed_back(Network&, Layer&, int which, int g);
void add_upstream(Network&, Layer&, int g, int channel);
void conclude_back(Network&, Layer&);
void turn_back(Network&, Layer&, int g, int channel);

// Sums over a batch that a batch norm needs, without cancellation: of what exceeds a first estimate of the
// mean, which is that of a channel's first row.
class Statistics {
   public:
    explicit Statistics(int channels) : estimates_(channels), seen_(channels), sums_(2 * channels) {}
    void add(const Batch&, int g, int channel, const Vector* values, int columns);
    float mean(int channel, double count) const;
    float variance(int channel, double count) const;  // with N in the divisor

   private:
    std::vector<float> estimates_;
    std::vector<char> seen_;
    std::vector<Vector> sums_;
};

}  // namespace native
