// Layers without weights: pools, averages, sums, and a map read as a vector. Forwards and backwards.
#include <algorithm>

#include "network.h"

namespace native {
namespace {

// The rows and columns of a window that lie on the map: what a pool pads counts for nothing.
struct Inside {
    int top, bottom, left, right;
    Inside(const Window& window, int row, int column, const Layer& source) {
        top = std::max(0, row * window.row_stride - window.top);
        left = std::max(0, column * window.column_stride - window.left);
        bottom = std::min(source.rows, row * window.row_stride - window.top + window.rows);
        right = std::min(source.columns, column * window.column_stride - window.left + window.columns);
    }
    float share() const { return 1.0f / ((bottom - top) * (right - left)); }
};

void clear(Maps& maps, int g) {
    for (int c = 0; c < maps.channels; c++)
        for (int row = 0; row < maps.rows; row++) std::fill_n(maps.at(g, c, row, 0), maps.columns, Vector{});
}

template <class Use>
void each_pixel(const Layer& layer, Use use) {
    for (int c = 0; c < layer.channels; c++)
        for (int row = 0; row < layer.rows; row++)
            for (int column = 0; column < layer.columns; column++) use(c, row, column);
}

Vector largest(Layer& source, const Inside& window, int g, int c) {
    Vector most = *source.value.at(g, c, window.top, window.left);
    for (int y = window.top; y < window.bottom; y++) {
        const Vector* in = source.value.at(g, c, y, 0);
        for (int x = window.left; x < window.right; x++) most = in[x] > most ? in[x] : most;
    }
    return most;
}

void max_pool(Layer& layer, Layer& source, int g) {
    each_pixel(layer, [&](int c, int row, int column) {
        *layer.made().at(g, c, row, column) =
            largest(source, Inside(layer.window, row, column, source), g, c);
    });
}

// Of equal values the first one gets the gradient.
void max_pool_back(Layer& layer, Layer& source, int g) {
    each_pixel(layer, [&](int c, int row, int column) {
        const Inside window(layer.window, row, column, source);
        const Vector most = largest(source, window, g, c);
        Vector left = *layer.derived().at(g, c, row, column);
        for (int y = window.top; y < window.bottom; y++) {
            const Vector* in = source.value.at(g, c, y, 0);
            Vector* to = source.gradient.at(g, c, y, 0);
            for (int x = window.left; x < window.right; x++) {
                const Lanes here = in[x] == most;
                to[x] += here ? left : Vector{};
                left = here ? Vector{} : left;
            }
        }
    });
}

void avg_pool(Layer& layer, Layer& source, int g) {
    each_pixel(layer, [&](int c, int row, int column) {
        const Inside window(layer.window, row, column, source);
        Vector sum{};
        for (int y = window.top; y < window.bottom; y++)
            for (int x = window.left; x < window.right; x++) sum += *source.value.at(g, c, y, x);
        *layer.made().at(g, c, row, column) = sum * window.share();
    });
}

void avg_pool_back(Layer& layer, Layer& source, int g) {
    each_pixel(layer, [&](int c, int row, int column) {
        const Inside window(layer.window, row, column, source);
        const Vector part = *layer.derived().at(g, c, row, column) * window.share();
        for (int y = window.top; y < window.bottom; y++)
            for (int x = window.left; x < window.right; x++) *source.gradient.at(g, c, y, x) += part;
    });
}

void global_avg(Layer& layer, Layer& source, int g) {
    const float share = 1.0f / (source.rows * source.columns);
    for (int c = 0; c < layer.channels; c++) {
        Vector sum{};
        for (int row = 0; row < source.rows; row++) {
            const Vector* in = source.value.at(g, c, row, 0);
            for (int x = 0; x < source.columns; x++) sum += in[x];
        }
        *layer.made().at(g, c, 0, 0) = sum * share;
    }
}

void global_avg_back(Layer& layer, Layer& source, int g) {
    const float share = 1.0f / (source.rows * source.columns);
    for (int c = 0; c < layer.channels; c++) {
        const Vector part = *layer.derived().at(g, c, 0, 0) * share;
        for (int row = 0; row < source.rows; row++) {
            Vector* to = source.gradient.at(g, c, row, 0);
            for (int x = 0; x < source.columns; x++) to[x] = layer.first_of[0] ? part : to[x] + part;
        }
    }
}

// Row by row, channels last; a masked channel is 0.
void flatten(Layer& layer, Layer& source, int g) {
    each_pixel(source, [&](int c, int row, int column) {
        const int place = (row * source.columns + column) * source.channels + c;
        const Vector value = *source.value.at(g, c, row, column);
        *layer.made().at(g, place, 0, 0) = source.mask.empty() ? value : value * source.mask[c];
    });
}

void flatten_back(Layer& layer, Layer& source, int g) {
    each_pixel(source, [&](int c, int row, int column) {
        const Vector part =
            *layer.derived().at(g, (row * source.columns + column) * source.channels + c, 0, 0);
        Vector& to = *source.gradient.at(g, c, row, column);
        to = layer.first_of[0] ? part : to + part;
    });
}

// A smaller map is 0 below and to the right of what it has.
void sum(Network& network, Layer& layer, int g) {
    clear(layer.made(), g);
    for (size_t k = 0; k < layer.sources.size(); k++) {
        Layer& source = network.source(layer, k);
        for (int c = 0; c < source.channels; c++)
            for (int row = 0; row < source.rows; row++) {
                const Vector* in = source.value.at(g, c, row, 0);
                Vector* to = layer.made().at(g, c, row, 0);
                for (int x = 0; x < source.columns; x++) to[x] += in[x];
            }
    }
}

void sum_back(Network& network, Layer& layer, int g) {
    for (size_t k = 0; k < layer.sources.size(); k++) {
        Layer& source = network.source(layer, k);
        if (!source.learns) continue;
        for (int c = 0; c < source.channels; c++)
            for (int row = 0; row < source.rows; row++) {
                const Vector* from = layer.derived().at(g, c, row, 0);
                Vector* to = source.gradient.at(g, c, row, 0);
                for (int x = 0; x < source.columns; x++)
                    to[x] = layer.first_of[k] ? from[x] : to[x] + from[x];
            }
        passed_back(network, layer, k, g);
    }
}

}  // namespace

void reduce(Network& network, Layer& layer, Statistics* statistics) {
    Layer& source = network.source(layer);
    for (int g = 0; g < network.batch.groups; g++) {
        for (int each : layer.sources) make_ready(network, network.layers[each], g);
        if (layer.kind == ADD) sum(network, layer, g);
        if (layer.kind == MAX_POOL) max_pool(layer, source, g);
        if (layer.kind == AVG_POOL) avg_pool(layer, source, g);
        if (layer.kind == GLOBAL_AVG) global_avg(layer, source, g);
        if (layer.kind == FLATTEN) flatten(layer, source, g);
        for (int c = 0; statistics && c < layer.channels; c++)
            for (int row = 0; row < layer.rows; row++)
                statistics->add(network.batch, g, c, layer.linear.at(g, c, row, 0), layer.columns);
    }
}

void reduce_back(Network& network, Layer& layer) {
    Layer& source = network.source(layer);
    const bool pool = layer.kind == MAX_POOL || layer.kind == AVG_POOL;
    for (int g = 0; g < network.batch.groups; g++) {
        for (int c = 0; c < layer.channels; c++) turn_back(network, layer, g, c);
        if (layer.kind == ADD) {
            sum_back(network, layer, g);
            continue;
        }
        if (!source.learns) continue;
        if (pool && layer.first_of[0]) clear(source.gradient, g);
        if (layer.kind == MAX_POOL) {
            make_ready(network, source, g);
            max_pool_back(layer, source, g);
        }
        if (layer.kind == AVG_POOL) avg_pool_back(layer, source, g);
        if (layer.kind == GLOBAL_AVG) global_avg_back(layer, source, g);
        if (layer.kind == FLATTEN) flatten_back(layer, source, g);
        passed_back(network, layer, 0, g);
    }
}

}  // namespace native
