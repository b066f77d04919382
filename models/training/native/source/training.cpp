// The loss and its gradient by the logits, the pass through all layers, and the optimisers.
#include "training.h"

#include <algorithm>
#include <cmath>

namespace native {

void forward(Network& network, bool training) {
    for (Layer& layer : network.layers) {
        const bool measured = training && layer.normed;
        if (layer.kind == INPUT || layer.within >= 0) continue;
        Statistics statistics(measured ? layer.channels : 0);
        if (layer.weighted())
            convolve(network, layer, measured ? &statistics : nullptr);
        else
            reduce(network, layer, measured ? &statistics : nullptr);
        conclude(network, layer, measured ? &statistics : nullptr);
    }
    for (int g = 0; g < network.batch.groups; g++) make_ready(network, network.layers.back(), g);
}

void backward(Network& network) {
    Layer& last = network.layers.back();
    for (int g = 0; g < network.batch.groups; g++)
        for (int c = 0; c < last.channels; c++) add_upstream(network, last, g, c);
    for (size_t k = network.layers.size() - 1; k > 0; k--) {
        Layer& layer = network.layers[k];
        if (!layer.learns || layer.within >= 0) continue;
        conclude_back(network, layer);
        if (layer.weighted())
            convolve_back(network, layer);
        else
            reduce_back(network, layer);
    }
}

namespace {

// Cross-entropy of one image by its logits, its gradient by them, and whether it is classified rightly.
struct Entropy {
    std::vector<double> gradient;
    double loss;
    bool right;

    // One logit: the second class' against 0.
    void binary(float logit, int label, float smoothing) {
        const double target = label * (1 - smoothing) + smoothing / 2, z = logit;
        loss = std::fmax(z, 0) - z * target + std::log1p(std::exp(-std::fabs(z)));
        gradient[0] = 1 / (1 + std::exp(-z)) - target;
        right = (logit > 0) == (label == 1);
    }

    void categorical(const std::vector<float>& logits, int label, float smoothing) {
        const int classes = logits.size();
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (logits[k] > logits[best]) best = k;
        double sum = 0;
        for (int k = 0; k < classes; k++) sum += std::exp(double(logits[k]) - logits[best]);
        loss = 0;
        for (int k = 0; k < classes; k++) {
            const double score = double(logits[k]) - logits[best] - std::log(sum);
            const double target = (k == label ? 1 - smoothing : 0.0f) + smoothing / classes;
            loss -= target * score;
            gradient[k] = std::exp(score) - target;
        }
        right = best == label;
    }
};

}  // namespace

Report loss_gradient(Network& network, const Descent& descent, const int32_t* labels) {
    Layer& last = network.layers.back();
    const int units = last.channels, images = network.batch.images, cells = last.rows * last.columns;
    const auto weight = [&](int label) { return label < 0 ? 0.0 : label > 0 ? descent.object_weight : 1.0; };
    double weights = 0, loss = 0;
    int counted = 0, right = 0;
    for (int k = 0; k < images * cells; k++) {
        weights += weight(labels[k]);
        counted += labels[k] >= 0;
    }
    const double total = counted ? weights : 1;
    std::vector<float> logits(units);
    Entropy entropy{std::vector<double>(units), 0, false};
    for (int image = 0; image < network.batch.groups * LANES; image++)
        for (int cell = 0; cell < cells; cell++) {
            const int g = image / LANES, lane = image % LANES;
            const int row = cell / last.columns, column = cell % last.columns;
            const int label = image < images ? labels[image * cells + cell] : -1;
            if (label >= 0) {
                for (int k = 0; k < units; k++) logits[k] = (*last.value.at(g, k, row, column))[lane];
                if (units == 1)
                    entropy.binary(logits[0], label, descent.smoothing);
                else
                    entropy.categorical(logits, label, descent.smoothing);
                loss += entropy.loss * weight(label);
                right += entropy.right;
            }
            for (int k = 0; k < units; k++)
                (*last.gradient.at(g, k, row, column))[lane] =
                    label < 0 ? 0.0f : float(entropy.gradient[k] * weight(label) / total);
        }
    return {float(loss / total), float(right) / std::max(counted, 1)};
}

void descend(Network& network, Descent& descent, float rate) {
    constexpr float FIRST = 0.9f, SECOND = 0.999f, SMALL = 1e-7f;
    const size_t count = network.parameter_count;
    float *weights = network.parameters, *first = descent.slots, *second = descent.slots + count;
    const float* gradients = network.gradients;
    if (descent.decay != 0)
        for (size_t k = 0; k < count; k++) weights[k] -= weights[k] * (rate * descent.decay);
    if (!descent.adam) {
        for (size_t k = 0; k < count; k++) {
            first[k] = first[k] * descent.momentum - rate * gradients[k];
            weights[k] += first[k];
        }
        return;
    }
    const float step = rate * std::sqrt(1 - descent.powers[1]) / (1 - descent.powers[0]);
    for (size_t k = 0; k < count; k++) {
        first[k] += (gradients[k] - first[k]) * (1 - FIRST);
        second[k] += (gradients[k] * gradients[k] - second[k]) * (1 - SECOND);
        weights[k] -= first[k] * step / (std::sqrt(second[k]) + SMALL);
    }
    descent.powers[0] *= FIRST;
    descent.powers[1] *= SECOND;
}

}  // namespace native
