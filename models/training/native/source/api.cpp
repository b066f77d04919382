// What Python calls, models/training/native/network.py. No call throws; one that finds no memory returns null
// or -1.
#include <algorithm>
#include <new>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "training.h"

using namespace native;

namespace {

// As models/training/native/network.py lays it out.
struct Description {
    int32_t kind, rows, columns, channels;
    Window window;
    int32_t normed, relu, source_count;
};

// Numbers below the smallest normal one are 0 for the time being, as in TensorFlow: they take hundreds of
// cycles each.
class WithoutDenormals {
#ifdef __SSE__
   public:
    WithoutDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~WithoutDenormals() { _mm_setcsr(before_); }

   private:
    unsigned before_;
#endif
};

// Where every layer's weights lie, and which maps have a gradient.
void place_weights(Network& network) {
    size_t averages = 0;
    for (Layer& layer : network.layers) {
        const size_t inputs = layer.sources.empty() ? 0 : network.source(layer).channels;
        size_t& next = network.parameter_count;
        if (layer.weighted()) {
            layer.kernel = next;
            layer.kernel_size =
                size_t(layer.window.taps()) * layer.channels * (layer.kind == DEPTHWISE ? 1 : inputs);
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
            layer.slope.resize(layer.channels);
            layer.level.resize(layer.channels);
        }
        layer.learns = layer.weighted() || layer.normed;
        for (int source : layer.sources) layer.learns |= network.layers[source].learns;
    }
    std::vector<char> written(network.layers.size());
    for (size_t k = network.layers.size() - 1; k > 0; k--)
        for (int source : network.layers[k].sources) {
            network.layers[k].first_of.push_back(!written[source]);
            written[source] = 1;
            network.layers[source].readers++;
        }
    std::fill(written.begin(), written.end(), 0);
    for (Layer& layer : network.layers) {
        layer.sums.resize(2 * layer.channels);
        layer.last_of.resize(layer.sources.size());
        for (size_t k = layer.sources.size(); k-- > 0;) {
            layer.last_of[k] = !written[layer.sources[k]];
            written[layer.sources[k]] = 1;
        }
    }
}

// Find the pools that are made within another layer.
void join_pools(Network& network) {
    for (size_t k = 0; k < network.layers.size(); k++) {
        Layer& pool = network.layers[k];
        const Window& w = pool.window;
        const bool quads = w.rows == 2 && w.columns == 2 && w.row_stride == 2 && w.column_stride == 2;
        if (pool.kind != MAX_POOL || !quads || w.top || w.left || pool.normed || pool.relu) continue;
        Layer& source = network.source(pool);
        if (!source.normed || source.readers != 1) continue;
        if (2 * pool.rows > source.rows || 2 * pool.columns > source.columns)
            continue;  // padded behind the map
        source.pool = k;
        pool.within = pool.sources[0];
    }
}

void place_maps(Network& network) {
    for (Layer& layer : network.layers)
        for (Maps* maps : {&layer.value, &layer.linear, &layer.gradient, &layer.turned}) {
            const Layer& sized = maps == &layer.value && layer.pool >= 0 ? network.layers[layer.pool] : layer;
            maps->channels = layer.channels;
            maps->rows = sized.rows;
            maps->columns = sized.columns;
        }
    for (Layer& layer : network.layers)
        if (layer.weighted()) make_borders(network, layer);
    // How much of its value a layer that is read once keeps: its reader goes through the groups, a depthwise
    // convolution through the planes, and a layer of one pixel through all groups at once.
    std::vector<Keeps> read(network.layers.size(), GROUP);
    for (const Layer& layer : network.layers)
        for (int source : layer.sources)
            if (layer.weighted())
                read[source] = layer.pixel() ? ALL : layer.kind == DEPTHWISE ? PLANE : GROUP;
    for (size_t k = 0; k < network.layers.size(); k++) {
        Layer& layer = network.layers[k];
        const int groups = network.batch.groups;
        const Keeps derived = layer.pixel() ? ALL : layer.kind == DEPTHWISE ? PLANE : GROUP;
        if (layer.normed) layer.linear.allocate(groups, ALL);
        if (layer.normed) layer.turned.allocate(groups, derived);
        layer.value.allocate(groups, layer.normed && layer.readers == 1 && layer.pool < 0 ? read[k] : ALL);
        if (layer.learns && layer.pool < 0) layer.gradient.allocate(groups, ALL);
    }
    for (Layer& layer : network.layers)
        if (layer.weighted()) place_taps(network, layer);
}

}  // namespace

extern "C" {

Network* native_create(const Description* descriptions, int count, const int32_t* sources, int images,
                       int population, float* parameters, float* gradients, float* averages) try {
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
    join_pools(*network);
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

// `steps` batches of the network's size; `indices` and `draws` have one entry an image, `labels` one an answer.
int native_train(Network* network, const FrontEnd* front, Descent* descent, const uint16_t* pixels, int steps,
                 const int64_t* indices, const Draw* draws, const int32_t* labels, const float* rates,
                 Report* reports) try {
    const WithoutDenormals scope;
    Encoder encoder(*front, pixels);
    const Layer& last = network->layers.back();
    const int images = network->batch.images, cells = last.rows * last.columns;
    for (int step = 0; step < steps; step++) {
        const ptrdiff_t first = ptrdiff_t(step) * images;
        read_batch(*network, encoder, indices + first, draws + first);
        forward(*network, true);
        reports[step] = loss_gradient(*network, *descent, labels + first * cells);
        backward(*network);
        descend(*network, *descent, rates[step]);
    }
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

// Logits of `count` images, (count, units) or (count, rows, columns, units), by the moving averages.
int native_predict(Network* network, const FrontEnd* front, const uint16_t* pixels, int64_t count,
                   float* logits) try {
    const WithoutDenormals scope;
    Encoder encoder(*front, pixels);
    const Batch whole = network->batch;
    std::vector<int64_t> indices(whole.images);
    for (int64_t first = 0; first < count; first += whole.images) {
        const int images = int(count - first < whole.images ? count - first : whole.images);
        for (int k = 0; k < images; k++) indices[k] = first + k;
        network->batch = {images, (images + LANES - 1) / LANES};
        read_batch(*network, encoder, indices.data(), nullptr);
        forward(*network, false);
        Layer& last = network->layers.back();
        for (int image = 0; image < images; image++)
            for (int row = 0; row < last.rows; row++)
                for (int column = 0; column < last.columns; column++)
                    for (int k = 0; k < last.channels; k++)
                        *logits++ = (*last.value.at(image / LANES, k, row, column))[image % LANES];
    }
    network->batch = whole;
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

// The inputs of `count` images, (count, rows, columns); `draws` may be null.
int native_encode(const FrontEnd* front, const uint16_t* pixels, int64_t count, const Draw* draws,
                  float* out) try {
    Encoder encoder(*front, pixels);
    std::vector<uint16_t> memory;
    for (int64_t k = 0; k < count; k++) {
        const Draw* draw = draws ? draws + k : nullptr;
        const uint16_t* moved = encoder.move(k, draw, memory);
        for (int row = 0; row < encoder.rows(); row++, out += encoder.columns())
            encoder.encode(moved, draw, row, out);
    }
    return 0;
} catch (const std::bad_alloc&) {
    return -1;
}

}  // extern "C"
