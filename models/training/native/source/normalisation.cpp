// What comes behind an operation: its bias or batch norm, and the ReLU. Forwards and backwards.
//
// Behind a batch norm a bias changes nothing but the moving mean, and its gradient is 0. With z the output
// without bias, m and v its mean and variance, k = gamma / sqrt(v + eps) and c = z - m the value is k c +
// beta, and the gradient by z is k (u - mean(u) - c mean(u c) / (v + eps)) of the upstream gradient u (Ioffe
// and Szegedy 2015, section 3).
#include <algorithm>
#include <cmath>

#include "network.h"

namespace native {

void Statistics::add(const Batch& batch, int g, int channel, const Vector* values, int columns) {
    const bool full = batch.full(g);
    const Lanes valid = full ? Lanes{} : batch.lanes(g);
    if (!seen_[channel]) {
        Vector sum{};
        for (int x = 0; x < columns; x++) sum += values[x];
        const int images = full ? LANES : batch.images - g * LANES;
        estimates_[channel] = total(full ? sum : (valid ? sum : Vector{})) / (images * columns);
        seen_[channel] = 1;
    }
    const Vector estimate = broadcast(estimates_[channel]);
    Vector sum{}, squares{};
    for (int x = 0; x < columns; x++) {
        const Vector excess = values[x] - estimate;
        sum += excess;
        squares += excess * excess;
    }
    sums_[2 * channel] += full ? sum : (valid ? sum : Vector{});
    sums_[2 * channel + 1] += full ? squares : (valid ? squares : Vector{});
}

float Statistics::mean(int channel, double count) const {
    return estimates_[channel] + total(sums_[2 * channel]) / count;
}

float Statistics::variance(int channel, double count) const {
    const double excess = total(sums_[2 * channel]) / count;
    return std::fmax(total(sums_[2 * channel + 1]) / count - excess * excess, 0.0);
}

namespace {

void of_batch(Network& network, Layer& layer, const Statistics& statistics) {
    const double count = double(network.batch.images) * layer.rows * layer.columns;
    float* means = network.averages + layer.mean;
    float* variances = network.averages + layer.variance;
    for (int c = 0; c < layer.channels; c++) {
        const float mean = statistics.mean(c, count), variance = statistics.variance(c, count);
        const float bias = layer.weighted() ? network.parameters[layer.bias + c] : 0.0f;
        const float kept = network.population ? variance * (count / std::fmax(count - 1, 1.0)) : variance;
        means[c] = means[c] * MOMENTUM + (mean + bias) * (1 - MOMENTUM);
        variances[c] = variances[c] * MOMENTUM + kept * (1 - MOMENTUM);
        layer.batch_mean[c] = mean;
        layer.batch_inverse[c] = 1 / std::sqrt(variance + EPSILON);
        layer.scale[c] = layer.batch_inverse[c] * network.parameters[layer.gamma + c];
        layer.shift[c] = network.parameters[layer.beta + c] - mean * layer.scale[c];
    }
}

void of_averages(Network& network, Layer& layer) {
    for (int c = 0; c < layer.channels; c++) {
        const float bias = layer.weighted() ? network.parameters[layer.bias + c] : 0.0f;
        const float inverse = 1 / std::sqrt(network.averages[layer.variance + c] + EPSILON);
        layer.scale[c] = inverse * network.parameters[layer.gamma + c];
        layer.shift[c] =
            network.parameters[layer.beta + c] + (bias - network.averages[layer.mean + c]) * layer.scale[c];
    }
}

// `value` holds what the largest value comes from: the largest of four, or, where the batch norm turns signs,
// the least.
void finish_pooled(Layer& layer, Layer& pool, int g, int c) {
    const Vector scale = broadcast(layer.scale[c]), shift = broadcast(layer.shift[c]);
    const bool turned = layer.scale[c] < 0;
    for (int row = 0; row < pool.rows; row++) {
        const Vector *above = layer.linear.at(g, c, 2 * row, 0), *below = above + layer.linear.rows_apart();
        Vector *largest = layer.value.at(g, c, row, 0), *to = pool.value.at(g, c, row, 0);
        for (int x = 0; x < pool.columns; x++) {
            const Vector first = above[2 * x], second = above[2 * x + 1];
            const Vector third = below[2 * x], fourth = below[2 * x + 1];
            const Vector upper = (turned ? first < second : first > second) ? first : second;
            const Vector lower = (turned ? third < fourth : third > fourth) ? third : fourth;
            largest[x] = (turned ? upper < lower : upper > lower) ? upper : lower;
            const Vector value = largest[x] * scale + shift;
            to[x] = layer.relu ? positive(value) : value;
        }
    }
}

void finish_plane(Network& network, Layer& layer, int g, int c) {
    if (layer.pool >= 0) return finish_pooled(layer, network.layers[layer.pool], g, c);
    if (!layer.normed && !layer.weighted() && !layer.relu) return;
    const float bias = layer.weighted() ? network.parameters[layer.bias + c] : 0.0f;
    const Vector scale = broadcast(layer.normed ? layer.scale[c] : 1.0f);
    const Vector shift = broadcast(layer.normed ? layer.shift[c] : bias);
    for (int row = 0; row < layer.rows; row++) {
        const Vector* given = layer.made().at(g, c, row, 0);
        Vector* value = layer.value.at(g, c, row, 0);
        for (int x = 0; x < layer.columns; x++) {
            const Vector result = given[x] * scale + shift;
            value[x] = layer.relu ? positive(result) : result;
        }
    }
}

// Sums of the upstream gradient behind a 2x2 max-pool, and of its products with what exceeds the mean.
void add_pooled(Layer& layer, Layer& pool, int g, int c) {
    const Vector scale = broadcast(layer.scale[c]), shift = broadcast(layer.shift[c]);
    const Vector mean = broadcast(layer.batch_mean[c]);
    Vector sums{}, products{};
    for (int row = 0; row < pool.rows; row++) {
        const Vector *gradient = pool.gradient.at(g, c, row, 0), *largest = layer.value.at(g, c, row, 0);
        for (int x = 0; x < pool.columns; x++) {
            Vector upstream = gradient[x];
            if (layer.relu) upstream = largest[x] * scale + shift > Vector{} ? upstream : Vector{};
            sums += upstream;
            products += upstream * (largest[x] - mean);
        }
    }
    layer.sums[2 * c] += sums;
    layer.sums[2 * c + 1] += products;
}

void add_normed(Layer& layer, int g, int c) {
    const Vector scale = broadcast(layer.scale[c]), shift = broadcast(layer.shift[c]);
    const Vector mean = broadcast(layer.batch_mean[c]);
    Vector sums{}, products{};
    for (int row = 0; row < layer.rows; row++) {
        const Vector *gradient = layer.gradient.at(g, c, row, 0), *given = layer.linear.at(g, c, row, 0);
        for (int x = 0; x < layer.columns; x++) {
            Vector upstream = gradient[x];
            if (layer.relu) upstream = given[x] * scale + shift > Vector{} ? upstream : Vector{};
            sums += upstream;
            products += upstream * (given[x] - mean);
        }
    }
    layer.sums[2 * c] += sums;
    layer.sums[2 * c + 1] += products;
}

// Without a batch norm the gradient passes the ReLU in place.
void add_plain(Layer& layer, int g, int c) {
    Vector sums{};
    for (int row = 0; row < layer.rows; row++) {
        Vector* gradient = layer.gradient.at(g, c, row, 0);
        const Vector* value = layer.value.at(g, c, row, 0);
        for (int x = 0; x < layer.columns; x++) {
            if (layer.relu) gradient[x] = value[x] > Vector{} ? gradient[x] : Vector{};
            sums += gradient[x];
        }
    }
    layer.sums[2 * c] += sums;
}

// What the batch norm of a channel makes of an upstream gradient; lanes without an image get none.
struct Turn {
    Vector scale, shift, mean, slope, level;
    Lanes valid{};
    bool full, relu;

    Turn(const Network& network, const Layer& layer, int c, int g)
        : scale(broadcast(layer.scale[c])),
          shift(broadcast(layer.shift[c])),
          mean(broadcast(layer.batch_mean[c])),
          slope(broadcast(layer.slope[c])),
          level(broadcast(layer.level[c])),
          full(network.batch.full(g)),
          relu(layer.relu) {
        if (!full) valid = network.batch.lanes(g);
    }

    Vector operator()(Vector upstream, Vector given) const {
        const Vector result = upstream * scale - level - (given - mean) * slope;
        return full ? result : (valid ? result : Vector{});
    }
};

void turn_pooled(Network& network, Layer& layer, Layer& pool, int g, int c) {
    const Turn turn(network, layer, c, g);
    for (int row = 0; row < pool.rows; row++) {
        const Vector *gradient = pool.gradient.at(g, c, row, 0), *largest = layer.value.at(g, c, row, 0);
        const Vector* above = layer.linear.at(g, c, 2 * row, 0);
        Vector* to = layer.turned.at(g, c, 2 * row, 0);
        for (int x = 0; x < pool.columns; x++) {
            Vector upstream = gradient[x];
            if (layer.relu) upstream = largest[x] * turn.scale + turn.shift > Vector{} ? upstream : Vector{};
            // Of equal values the first one gets the gradient.
            for (int k = 0; k < 4; k++) {
                const Vector given = above[2 * x + k % 2 + k / 2 * layer.linear.rows_apart()];
                const Lanes here = given == largest[x];
                to[2 * x + k % 2 + k / 2 * layer.turned.rows_apart()] =
                    turn(here ? upstream : Vector{}, given);
                upstream = here ? Vector{} : upstream;
            }
        }
    }
    for (int row = 0; row < layer.rows; row++) {  // what the pool leaves out
        const Vector* given = layer.linear.at(g, c, row, 0);
        Vector* to = layer.turned.at(g, c, row, 0);
        for (int x = row < 2 * pool.rows ? 2 * pool.columns : 0; x < layer.columns; x++)
            to[x] = turn(Vector{}, given[x]);
    }
}

void turn_normed(Network& network, Layer& layer, int g, int c) {
    const Turn turn(network, layer, c, g);
    for (int row = 0; row < layer.rows; row++) {
        const Vector *gradient = layer.gradient.at(g, c, row, 0), *given = layer.linear.at(g, c, row, 0);
        Vector* to = layer.turned.at(g, c, row, 0);
        for (int x = 0; x < layer.columns; x++) {
            Vector upstream = gradient[x];
            if (turn.relu) upstream = given[x] * turn.scale + turn.shift > Vector{} ? upstream : Vector{};
            to[x] = turn(upstream, given[x]);
        }
    }
}

}  // namespace

// When a layer has been made of the whole batch. `statistics` are those of the batch, which train the
// network; without them the moving averages serve.
void conclude(Network& network, Layer& layer, const Statistics* statistics) {
    if (layer.normed && statistics) of_batch(network, layer, *statistics);
    if (layer.normed && !statistics) of_averages(network, layer);
    layer.ready = 0;
}

// See to it that channel c of group g of a layer's value, or of the pool's that reads it, is in its place.
void make_ready(Network& network, Layer& layer, int g, int c) {
    if (layer.within >= 0) return make_ready(network, network.layers[layer.within], g, c);
    if (layer.kind == INPUT) return;
    const int begin = g * layer.channels, plane = begin + c;
    const Keeps keeps = layer.value.keeps;
    if (keeps == PLANE && layer.ready != plane + 1) layer.ready = plane;
    if (keeps == GROUP && (layer.ready < begin || layer.ready > begin + layer.channels)) layer.ready = begin;
    for (; layer.ready <= plane; layer.ready++)
        finish_plane(network, layer, layer.ready / layer.channels, layer.ready % layer.channels);
}

void make_ready(Network& network, Layer& layer, int g) { make_ready(network, layer, g, layer.channels - 1); }

// A layer has added its part to the gradient of channel c of group g of one of its sources.
void passed_back(Network& network, Layer& layer, int which, int g, int c) {
    Layer& source = network.source(layer, which);
    if (layer.last_of[which] && source.learns)
        add_upstream(network, source.within >= 0 ? network.layers[source.within] : source, g, c);
}

void passed_back(Network& network, Layer& layer, int which, int g) {
    for (int c = 0; c < network.source(layer, which).channels; c++) passed_back(network, layer, which, g, c);
}

// The gradient of channel c of group g is whole.
void add_upstream(Network& network, Layer& layer, int g, int c) {
    if (layer.pool >= 0)
        add_pooled(layer, network.layers[layer.pool], g, c);
    else if (layer.normed)
        add_normed(layer, g, c);
    else if (layer.weighted() || layer.relu)
        add_plain(layer, g, c);
}

// The gradient of all groups is whole: that of bias, gamma and beta, and what turn_back() needs.
void conclude_back(Network& network, Layer& layer) {
    for (int c = 0; c < layer.channels; c++) {
        const float sum = total(layer.sums[2 * c]), product = total(layer.sums[2 * c + 1]);
        if (layer.weighted()) network.gradients[layer.bias + c] = layer.normed ? 0 : sum;
        if (!layer.normed) continue;
        const double count = double(network.batch.images) * layer.rows * layer.columns;
        const float inverse = layer.batch_inverse[c];
        network.gradients[layer.beta + c] = sum;
        network.gradients[layer.gamma + c] = product * inverse;
        layer.slope[c] = layer.scale[c] * inverse * inverse * product / count;
        layer.level[c] = layer.scale[c] * sum / count;
    }
    std::fill(layer.sums.begin(), layer.sums.end(), Vector{});
}

// The gradient by the value of channel c of group g turned into that by what the batch norm was given.
void turn_back(Network& network, Layer& layer, int g, int c) {
    if (layer.pool >= 0)
        turn_pooled(network, layer, network.layers[layer.pool], g, c);
    else if (layer.normed)
        turn_normed(network, layer, g, c);
}

}  // namespace native
