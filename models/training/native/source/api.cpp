// What Python calls, models/training/native/network.py. No call throws; one that finds no memory returns null or -1.
#include <new>

#include "training.h"

using namespace native;

namespace {

// As models/training/native/network.py lays it out.
struct Description {
    int32_t kind, rows, columns, channels;
    Window window;
    int32_t normed, relu, source_count;
};

// Where every layer's weights lie, and which maps have a gradient.
void place_weights(Network& network) {
    size_t averages = 0;
    for (Layer& layer : network.layers) {
        const size_t inputs = layer.sources.empty() ? 0 : network.source(layer).channels;
        size_t& next = network.parameter_count;
        if (layer.weighted()) {
            layer.kernel = next;
            layer.kernel_size = size_t(layer.window.taps()) * layer.channels * (layer.kind == DEPTHWISE ? 1 : inputs);
            layer.bias = layer.kernel + layer.kernel_size;
            next = layer.bias + layer.channels;
        }
        if (layer.normed) {
            layer.gamma = next;
            layer.beta = next + layer.channels;
            next += 2 * layer.channels;
            layer.mean = averages;
            layer.variance = averages + layer.channels;
            averages += 2 * layer.channels;
            layer.scale.resize(layer.channels);
            layer.shift.resize(layer.channels);
            layer.batch_mean.resize(layer.channels);
            layer.batch_inverse.resize(layer.channels);
        }
        layer.learns = layer.weighted() || layer.normed;
        for (int source : layer.sources) layer.learns |= network.layers[source].learns;
    }
    std::vector<char> written(network.layers.size());
    for (size_t k = network.layers.size() - 1; k > 0; k--)
        for (int source : network.layers[k].sources) {
            network.layers[k].first_of.push_back(!written[source]);
            written[source] = 1;
        }
}

void place_maps(Network& network) {
    for (Layer& layer : network.layers)
        for (Maps* maps : {&layer.value, &layer.linear, &layer.gradient}) {
            maps->channels = layer.channels;
            maps->rows = layer.rows;
            maps->columns = layer.columns;
        }
    for (Layer& layer : network.layers)
        if (layer.weighted()) make_borders(network, layer);
    for (Layer& layer : network.layers) {
        layer.value.allocate(network.batch.groups);
        if (layer.normed) layer.linear.allocate(network.batch.groups);
        if (layer.learns) layer.gradient.allocate(network.batch.groups);
        if (layer.weighted()) place_taps(network, layer);
    }
}

}  // namespace

extern "C" {

Network* native_create(const Description* descriptions, int count, const int32_t* sources, int images, int population,
                       float* parameters, float* gradients, float* averages) try {
    auto network = std::make_unique<Network>();
    network->batch = {images, (images + LANES - 1) / LANES};
    network->population = population;
    network->parameters = parameters;
    network->gradients = gradients;
    network->averages = averages;
    for (const Description* one = descriptions; one < descriptions + count; one++) {
        Layer layer;
        layer.kind = Kind(one->kind);
        layer.rows = one->rows;
        layer.columns = one->columns;
        layer.channels = one->channels;
        layer.window = one->window;
        layer.normed = one->normed;
        layer.relu = one->relu;
        layer.sources.assign(sources, sources + one->source_count);
        sources += one->source_count;
        network->layers.push_back(std::move(layer));
    }
    place_weights(*network);
    place_maps(*network);
    return network.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

void native_destroy(Network* network) { delete network; }

void native_mask(Network* network, int layer, const float* mask) {
    std::vector<float>& own = network->layers[layer].mask;
    own.assign(mask, mask + network->layers[layer].channels);
}

// `steps` batches of the network's size; `indices`, `draws` and `labels` have one entry an image.
int native_train(Network* network, const FrontEnd* front, Descent* descent, const uint16_t* pixels, int steps,
                 const int64_t* indices, const Draw* draws, const int32_t* labels, const float* rates,
                 Report* reports) try {
    Encoder encoder(*front);
    const int images = network->batch.images;
    for (int step = 0; step < steps; step++) {
        const ptrdiff_t first = ptrdiff_t(step) * images;
        read_batch(*network, encoder, pixels, indices + first, draws + first);
        forward(*network, true);
        reports[step] = loss_gradient(*network, *descent, labels + first);
        backward(*network);
        descend(*network, *descent, rates[step]);
    }
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

// Logits of `count` images, (count, units), by the moving averages.
int native_predict(Network* network, const FrontEnd* front, const uint16_t* pixels, int64_t count, float* logits) try {
    Encoder encoder(*front);
    const Batch whole = network->batch;
    std::vector<int64_t> indices(whole.images);
    for (int64_t first = 0; first < count; first += whole.images) {
        const int images = int(count - first < whole.images ? count - first : whole.images);
        for (int k = 0; k < images; k++) indices[k] = first + k;
        network->batch = {images, (images + LANES - 1) / LANES};
        read_batch(*network, encoder, pixels, indices.data(), nullptr);
        forward(*network, false);
        Layer& last = network->layers.back();
        for (int image = 0; image < images; image++)
            for (int k = 0; k < last.channels; k++)
                *logits++ = (*last.value.at(image / LANES, k, 0, 0))[image % LANES];
    }
    network->batch = whole;
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

// The inputs of `count` images, (count, rows, columns); `draws` may be null.
int native_encode(const FrontEnd* front, const uint16_t* pixels, int64_t count, const Draw* draws, float* out) try {
    Encoder encoder(*front);
    std::vector<float> lanes(size_t(encoder.rows()) * encoder.columns() * LANES);
    for (int64_t k = 0; k < count; k++) {
        encoder.encode(pixels + k * encoder.image_size(), draws ? draws + k : nullptr, lanes.data(), encoder.columns());
        for (size_t place = 0; place < lanes.size(); place += LANES) *out++ = lanes[place];
    }
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

}  // extern "C"
