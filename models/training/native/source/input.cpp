// Augmentation as models/training/batches.py describes it, and the input formats, bit for bit
// FrontEnd.encode.
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

// q of n thresholds, of products of integers below 2^53, which are exact as doubles.
template <int RATIOS>
void levels_of(const FrontEnd& front, const uint16_t* up, const uint16_t* down, const double* side, int count,
               float* out) {
    const double offset = front.offset, power = double(int64_t(1) << front.shift);
    double ratios[RATIOS];
    for (int r = 0; r < RATIOS; r++) ratios[r] = front.ratios[r];
    for (int x = 0; x < count; x++) {
        const double lighter = (up[x] + offset) * side[x - 1], darker = (down[x] + offset) * side[x + 1];
        double level = 0;
        for (int r = 0; r < RATIOS; r++) {
            level += lighter * power > ratios[r] * darker ? 1.0 : 0.0;
            level -= darker * power > ratios[r] * lighter ? 1.0 : 0.0;
        }
        out[x] = float(level);
    }
}

}  // namespace

const uint16_t* Encoder::move(int64_t image, const Draw* draw, std::vector<uint16_t>& memory) {
    const int rows = front_.rows, columns = front_.columns;
    const uint16_t* pixels = pixels_ + image * image_size();
    if (!draw || !(draw->mirrored || draw->rows || draw->columns || draw->extra)) return pixels;
    if (draw->extra) return scale(pixels, *draw, memory);
    places_.resize(columns);
    for (int x = 0; x < columns; x++) {
        const int place = reflected(x + draw->columns, columns);
        places_[x] = draw->mirrored ? reflected(front_.last - place, columns) : place;
    }
    // Most of the columns follow each other, forwards or backwards.
    const int step = draw->mirrored ? -1 : 1;
    int begin = columns / 2, end = begin + 1;
    while (begin > 0 && places_[begin - 1] == places_[begin] - step) begin--;
    while (end < columns && places_[end] == places_[end - 1] + step) end++;
    memory.resize(image_size());
    uint16_t* to = memory.data();
    for (int y = 0; y < rows; y++, to += columns) {
        const uint16_t* from = pixels + ptrdiff_t(reflected(y + draw->rows, rows)) * columns;
        for (int x = 0; x < begin; x++) to[x] = from[places_[x]];
        const uint16_t* middle = from + places_[begin] - ptrdiff_t(step) * begin;
        if (step > 0)
            std::copy(middle + begin, middle + end, to + begin);
        else
            for (int x = begin; x < end; x++) to[x] = middle[-x];
        for (int x = end; x < columns; x++) to[x] = from[places_[x]];
    }
    return memory.data();
}

// Between four pixels, by whole 256ths of the way from one to the next.
const uint16_t* Encoder::scale(const uint16_t* pixels, const Draw& draw, std::vector<uint16_t>& memory) {
    struct Place {
        int first, second;
        uint32_t share;
    };
    const auto place = [&](int at, int moved, int size, bool mirrored) {
        constexpr int PIXEL = 1 << 16;
        const int end = (size - 1) * PIXEL;
        const auto inside = [&](int where) { return end - std::abs(end - std::abs(where)); };
        // Halves are rounded down; a shift does so for negative numbers, too.
        int where = inside(moved * PIXEL + at * (PIXEL + draw.extra) + ((-(size - 1) * draw.extra) >> 1));
        if (mirrored) where = inside(front_.last * PIXEL - where);
        const int first = where >> 16;
        return Place{first, std::min(first + 1, size - 1), uint32_t(where >> 8 & 255)};
    };
    const int rows = front_.rows, columns = front_.columns;
    std::vector<Place> across(columns);
    for (int x = 0; x < columns; x++) across[x] = place(x, draw.columns, columns, draw.mirrored);
    memory.resize(image_size());
    uint16_t* to = memory.data();
    for (int y = 0; y < rows; y++) {
        const Place down = place(y, draw.rows, rows, false);
        const uint16_t *upper = pixels + ptrdiff_t(down.first) * columns,
                       *lower = pixels + ptrdiff_t(down.second) * columns;
        for (const Place& x : across) {
            const uint32_t above = upper[x.first] * (256 - x.share) + upper[x.second] * x.share;
            const uint32_t below = lower[x.first] * (256 - x.share) + lower[x.second] * x.share;
            *to++ = (above * (256 - down.share) + below * down.share + (1 << 15)) >> 16;
        }
    }
    return memory.data();
}

void Encoder::levels(const uint16_t* up, const uint16_t* here, const uint16_t* down, float* out) {
    const int columns = front_.columns, first = front_.valid;
    double* side = side_.data() + 1;
    for (int x = 0; x < columns; x++) side[x] = here[x] + double(front_.offset);
    side[-1] = side[neighbour(0, -1, columns)];
    side[columns] = side[neighbour(columns - 1, 1, columns)];
    const auto of = front_.ratio_count == 1   ? levels_of<1>
                    : front_.ratio_count == 2 ? levels_of<2>
                                              : levels_of<3>;
    of(front_, up + first, down + first, side + first, this->columns(), out);
}

void Encoder::log_gradient(const uint16_t* up, const uint16_t* here, const uint16_t* down, float* out) {
    const int columns = front_.columns, first = front_.valid;
    double* side = side_.data() + 1;
    for (int x = 0; x < columns; x++) side[x] = front_.logarithms[here[x]];
    side[-1] = side[neighbour(0, -1, columns)];
    side[columns] = side[neighbour(columns - 1, 1, columns)];
    for (int k = 0, x = first; k < this->columns(); k++, x++)
        out[k] = float(front_.logarithms[up[x]] + side[x - 1] - front_.logarithms[down[x]] - side[x + 1]);
}

void Encoder::encode(const uint16_t* moved, const Draw* draw, int row, float* out) {
    const int count = columns(), y = row + front_.valid;
    const auto line = [&](int of) { return moved + ptrdiff_t(of) * front_.columns; };
    const uint16_t *here = line(y), *up = line(neighbour(y, -1, front_.rows)),
                   *down = line(neighbour(y, 1, front_.rows));
    side_.resize(front_.columns + 2);
    if (front_.format == LEVELS) levels(up, here, down, out);
    if (front_.format == LOG_GRADIENT) log_gradient(up, here, down, out);
    if (front_.format == TABLE)
        for (int x = 0; x < count; x++) out[x] = front_.values[here[x]];
    if (draw && draw->cut && row >= draw->top && row < draw->top + front_.cutout) {
        const int begin = std::max(0, draw->left), end = std::min(count, draw->left + front_.cutout);
        std::fill(out + begin, out + end, 0.0f);
    }
}

void read_batch(Network& network, Encoder& encoder, const int64_t* indices, const Draw* draws) {
    Maps& input = network.layers[0].value;
    std::vector<uint16_t> memory[LANES];
    const uint16_t* moved[LANES];
    // A row of each image of a group, as whole vectors.
    const int width = (input.columns + LANES - 1) / LANES;
    std::vector<Vector> rows(LANES * width);
    for (int g = 0; g < network.batch.groups; g++) {
        const int first = g * LANES, images = std::min(LANES, network.batch.images - first);
        for (int lane = 0; lane < images; lane++)
            moved[lane] =
                encoder.move(indices[first + lane], draws ? draws + first + lane : nullptr, memory[lane]);
        std::fill(rows.begin() + images * width, rows.end(), Vector{});
        for (int row = 0; row < input.rows; row++) {
            for (int lane = 0; lane < images; lane++)
                encoder.encode(moved[lane], draws ? draws + first + lane : nullptr, row,
                               reinterpret_cast<float*>(&rows[lane * width]));
            Vector* to = input.at(g, 0, row, 0);
            for (int block = 0; block < width; block++) {
                Vector square[LANES];
                for (int lane = 0; lane < LANES; lane++) square[lane] = rows[lane * width + block];
                transpose(square);
                std::copy_n(square, std::min(LANES, input.columns - block * LANES), to + block * LANES);
            }
        }
    }
}

}  // namespace native
