// What comes behind an operation: its bias or batch norm, and the ReLU. Forwards and backwards.
//
// Behind a batch norm a bias changes nothing but the moving mean, and its gradient is 0. With z the output without
// bias, m and v its mean and variance, k = gamma / sqrt(v + eps) and c = z - m the value is k c + beta, and the gradient
// by z is k (u - mean(u) - c mean(u c) / (v + eps)) of the upstream gradient u (Ioffe and Szegedy 2015, section 3).
#include <cmath>

#include "network.h"

namespace native {

void Statistics::add(const Batch& batch, int g, int channel, const Vector* values, int columns) {
    const Lanes valid = batch.lanes(g);
    if (!seen_[channel]) {
        Vector sum{};
        for (int x = 0; x < columns; x++) sum += values[x];
        int images = 0;
        for (int lane = 0; lane < LANES; lane++) images -= valid[lane];
        estimates_[channel] = total(valid ? sum : Vector{}) / (images * columns);
        seen_[channel] = 1;
    }
    const Vector estimate = broadcast(estimates_[channel]);
    Vector sum{}, squares{};
    for (int x = 0; x < columns; x++) {
        const Vector excess = values[x] - estimate;
        sum += excess;
        squares += excess * excess;
    }
    sums_[2 * channel] += valid ? sum : Vector{};
    sums_[2 * channel + 1] += valid ? squares : Vector{};
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
        layer.shift[c] = network.parameters[layer.beta + c] +
                         (bias - network.averages[layer.mean + c]) * layer.scale[c];
    }
}

// The gradient by the value turned into that by what the batch norm was given, in place.
void normed_back(Network& network, Layer& layer, int c) {
    const Vector scale = broadcast(layer.scale[c]), shift = broadcast(layer.shift[c]);
    const Vector mean = broadcast(layer.batch_mean[c]);
    const Batch& batch = network.batch;
    Vector sums{}, products{};
    for (int g = 0; g < batch.groups; g++)
        for (int row = 0; row < layer.rows; row++) {
            Vector* gradient = layer.gradient.at(g, c, row, 0);
            const Vector* given = layer.linear.at(g, c, row, 0);
            for (int x = 0; x < layer.columns; x++) {
                Vector upstream = gradient[x];
                if (layer.relu) upstream = given[x] * scale + shift > Vector{} ? upstream : Vector{};
                sums += upstream;
                products += upstream * (given[x] - mean);
            }
        }
    const double count = double(batch.images) * layer.rows * layer.columns;
    const float inverse = layer.batch_inverse[c], sum = total(sums), product = total(products);
    network.gradients[layer.beta + c] = sum;
    network.gradients[layer.gamma + c] = product * inverse;
    if (layer.weighted()) network.gradients[layer.bias + c] = 0;
    const Vector slope = broadcast(float(layer.scale[c] * inverse * inverse * product / count));
    const Vector level = broadcast(float(layer.scale[c] * sum / count));
    for (int g = 0; g < batch.groups; g++) {
        const Lanes valid = batch.lanes(g);
        const bool full = batch.full(g);
        for (int row = 0; row < layer.rows; row++) {
            Vector* gradient = layer.gradient.at(g, c, row, 0);
            const Vector* given = layer.linear.at(g, c, row, 0);
            for (int x = 0; x < layer.columns; x++) {
                Vector upstream = gradient[x];
                if (layer.relu) upstream = given[x] * scale + shift > Vector{} ? upstream : Vector{};
                const Vector result = upstream * scale - level - (given[x] - mean) * slope;
                gradient[x] = full ? result : (valid ? result : Vector{});
            }
        }
    }
}

void plain_back(Network& network, Layer& layer, int c) {
    Vector sums{};
    for (int g = 0; g < network.batch.groups; g++)
        for (int row = 0; row < layer.rows; row++) {
            Vector* gradient = layer.gradient.at(g, c, row, 0);
            const Vector* value = layer.value.at(g, c, row, 0);
            for (int x = 0; x < layer.columns; x++) {
                if (layer.relu) gradient[x] = value[x] > Vector{} ? gradient[x] : Vector{};
                sums += gradient[x];
            }
        }
    if (layer.weighted()) network.gradients[layer.bias + c] = total(sums);
}

}  // namespace

// `statistics` are those of the batch, which train the network; without them the moving averages serve.
void finish(Network& network, Layer& layer, const Statistics* statistics) {
    if (layer.normed && statistics)
        of_batch(network, layer, *statistics);
    else if (layer.normed)
        of_averages(network, layer);
    else if (!layer.weighted() && !layer.relu)
        return;
    for (int g = 0; g < network.batch.groups; g++)
        for (int c = 0; c < layer.channels; c++) {
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
}

void finish_back(Network& network, Layer& layer) {
    for (int c = 0; c < layer.channels; c++) {
        if (layer.normed)
            normed_back(network, layer, c);
        else if (layer.weighted() || layer.relu)
            plain_back(network, layer, c);
    }
}

}  // namespace native
