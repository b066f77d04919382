// Augmentation as models/training/batches.py describes it, and the input formats, bit for bit FrontEnd.encode.
#include "input.h"

#include <algorithm>
#include <cstdlib>

namespace native {
namespace {

// A place outside 0..size-1, reflected about the outermost ones.
int reflected(int place, int size) { return (size - 1) - std::abs((size - 1) - std::abs(place)); }

// A missing neighbour is the opposite one; a side of one pixel has only itself.
int neighbour(int place, int step, int size) {
    const int there = place + step;
    if (there >= 0 && there < size) return there;
    return size > 1 ? place - step : place;
}

}  // namespace

void Encoder::move(const uint16_t* pixels, const Draw& draw) {
    const int rows = front_.rows, columns = front_.columns;
    places_.resize(columns);
    for (int x = 0; x < columns; x++) {
        const int place = reflected(x + draw.columns, columns);
        places_[x] = draw.mirrored ? reflected(front_.last - place, columns) : place;
    }
    moved_.resize(size_t(rows) * columns);
    for (int y = 0; y < rows; y++) {
        const uint16_t* from = pixels + size_t(reflected(y + draw.rows, rows)) * columns;
        uint16_t* to = moved_.data() + size_t(y) * columns;
        for (int x = 0; x < columns; x++) to[x] = from[places_[x]];
    }
}

void Encoder::encode_row(int row, float* out) {
    const int columns = front_.columns, first = front_.valid, count = this->columns();
    const int y = row + front_.valid;
    const uint16_t* here = image_ + size_t(y) * columns;
    if (front_.format == TABLE) {
        for (int x = 0; x < count; x++) out[x] = front_.values[here[x]];
        return;
    }
    const uint16_t* up = image_ + size_t(neighbour(y, -1, front_.rows)) * columns;
    const uint16_t* down = image_ + size_t(neighbour(y, 1, front_.rows)) * columns;
    // The pixels of the row with one more on each side, as floats or logarithms.
    horizontal_.resize(columns + 2);
    lighter_.resize(columns);
    darker_.resize(columns);
    double *side = horizontal_.data() + 1, *lighter = lighter_.data(), *darker = darker_.data();
    if (front_.format == LOG_GRADIENT) {
        const double* logarithms = front_.logarithms;
        for (int x = 0; x < columns; x++) side[x] = logarithms[here[x]];
        side[-1] = side[neighbour(0, -1, columns)];
        side[columns] = side[neighbour(columns - 1, 1, columns)];
        for (int k = 0; k < count; k++) {
            const int x = first + k;
            out[k] = float(logarithms[up[x]] + side[x - 1] - logarithms[down[x]] - side[x + 1]);
        }
        return;
    }
    // Products of integers below 2^53, exact as doubles.
    const double offset = front_.offset, power = double(int64_t(1) << front_.shift);
    for (int x = 0; x < columns; x++) side[x] = here[x] + offset;
    side[-1] = side[neighbour(0, -1, columns)];
    side[columns] = side[neighbour(columns - 1, 1, columns)];
    for (int x = 0; x < columns; x++) {
        lighter[x] = (up[x] + offset) * side[x - 1];
        darker[x] = (down[x] + offset) * side[x + 1];
    }
    for (int k = 0; k < count; k++) out[k] = 0;
    for (int r = 0; r < front_.ratio_count; r++) {
        const double ratio = front_.ratios[r];
        for (int k = 0; k < count; k++) {
            const double light = lighter[first + k], dark = darker[first + k];
            out[k] += (light * power > ratio * dark ? 1.0f : 0.0f) - (dark * power > ratio * light ? 1.0f : 0.0f);
        }
    }
}

void Encoder::encode(const uint16_t* pixels, const Draw* draw, float* lane, ptrdiff_t pitch) {
    image_ = pixels;
    if (draw && (draw->mirrored || draw->rows || draw->columns)) {
        move(pixels, *draw);
        image_ = moved_.data();
    }
    row_.resize(columns());
    for (int y = 0; y < rows(); y++) {
        encode_row(y, row_.data());
        if (draw && draw->cut && y >= draw->top && y < draw->top + front_.cutout) {
            const int begin = std::max(0, draw->left), end = std::min(columns(), draw->left + front_.cutout);
            std::fill(row_.begin() + begin, row_.begin() + end, 0.0f);
        }
        float* to = lane + y * pitch * LANES;
        for (int x = 0; x < columns(); x++) to[ptrdiff_t(x) * LANES] = row_[x];
    }
}

void read_batch(Network& network, Encoder& encoder, const uint16_t* pixels, const int64_t* indices, const Draw* draws) {
    Maps& input = network.layers[0].value;
    const size_t size = encoder.image_size();
    for (int g = 0; g < network.batch.groups; g++)
        for (int lane = 0; lane < LANES; lane++) {
            const int image = g * LANES + lane;
            float* place = reinterpret_cast<float*>(input.at(g, 0, 0, 0)) + lane;
            if (image < network.batch.images)
                encoder.encode(pixels + indices[image] * size, draws ? draws + image : nullptr, place, input.pitch());
            else
                for (int y = 0; y < input.rows; y++)
                    for (int x = 0; x < input.columns; x++) place[(y * input.pitch() + x) * LANES] = 0;
        }
}

}  // namespace native
