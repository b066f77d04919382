// Blocks of up to CHANNELS channels by PIXELS pixels (or taps), held in registers; every size has its instance.
#include "correlation.h"

#include <algorithm>
#include <utility>

namespace native {

std::vector<ptrdiff_t> in_planes(const std::vector<ptrdiff_t>& taps, int inputs, ptrdiff_t plane) {
    std::vector<ptrdiff_t> offsets;
    for (int i = 0; i < inputs; i++)
        for (ptrdiff_t tap : taps) offsets.push_back(i * plane + tap);
    return offsets;
}

namespace {

using Way = Correlation::Way;

// NEXT: the pixels of a row lie one behind the other.
template <int OUTPUTS, int WIDTH, bool NEXT>
void correlate_block(const Way& way, const float* weights, const Vector* in, Vector* out) {
    const ptrdiff_t step = NEXT ? 1 : way.in_step;
    const ptrdiff_t *offset = way.offsets, *end = offset + way.count;
    Vector sums[OUTPUTS][WIDTH] = {};
    do {
        const Vector* from = in + *offset;
        Vector values[WIDTH];
        for (int x = 0; x < WIDTH; x++) values[x] = from[x * step];
        for (int o = 0; o < OUTPUTS; o++)
            for (int x = 0; x < WIDTH; x++) sums[o][x] += values[x] * weights[o];
        weights += OUTPUTS;
    } while (++offset != end);
    for (int o = 0; o < OUTPUTS; o++)
        for (int x = 0; x < WIDTH; x++) {
            Vector& to = out[o * way.out.plane + x * way.out.pixel];
            to = way.add ? to + sums[o][x] : sums[o][x];
        }
}

struct Rows {
    const RowPair* pairs;
    int count;
    ptrdiff_t columns, in_step;
    Steps out;
};

template <int OUTPUTS, int TAPS>
void gradient_block(const Rows& rows, const ptrdiff_t* offsets, int first, Vector* sums, ptrdiff_t pitch) {
    const ptrdiff_t in_step = rows.in_step, out_step = rows.out.pixel, end = rows.columns * out_step;
    Vector held[OUTPUTS][TAPS] = {};
    const RowPair *pair = rows.pairs, *last = pair + rows.count;
    do {
        const Vector* in[TAPS];
        const Vector* out[OUTPUTS];
        for (int k = 0; k < TAPS; k++) in[k] = pair->in + offsets[k];
        for (int o = 0; o < OUTPUTS; o++) out[o] = pair->out + (first + o) * rows.out.plane;
        ptrdiff_t i = 0, j = 0;
        do {
            Vector values[TAPS];
            for (int k = 0; k < TAPS; k++) values[k] = in[k][i];
            if (OUTPUTS > 1)
                for (Vector& value : values) hold(value);
            for (int o = 0; o < OUTPUTS; o++) {
                const Vector upstream = out[o][j];
                for (int k = 0; k < TAPS; k++) held[o][k] += upstream * values[k];
            }
            i += in_step;
            j += out_step;
        } while (j != end);
    } while (++pair != last);
    for (int o = 0; o < OUTPUTS; o++)
        for (int k = 0; k < TAPS; k++) sums[o * pitch + k] += held[o][k];
}

template <bool NEXT, int... SIZE>
Correlation::Run correlate_of(int outputs, int width, std::integer_sequence<int, SIZE...>) {
    static constexpr Correlation::Run blocks[] = {correlate_block<SIZE / PIXELS + 1, SIZE % PIXELS + 1, NEXT>...};
    return blocks[(outputs - 1) * PIXELS + width - 1];
}

using GradientBlock = void (*)(const Rows&, const ptrdiff_t*, int, Vector*, ptrdiff_t);

template <int... SIZE>
GradientBlock gradient_of(int outputs, int taps, std::integer_sequence<int, SIZE...>) {
    static constexpr GradientBlock blocks[] = {gradient_block<SIZE / PIXELS + 1, SIZE % PIXELS + 1>...};
    return blocks[(outputs - 1) * PIXELS + taps - 1];
}

using Sizes = std::make_integer_sequence<int, CHANNELS * PIXELS>;

// A channel alone, as a depthwise convolution has them, leaves registers for more taps.
constexpr int TAPS_ALONE = 2 * PIXELS;

template <int... SIZE>
GradientBlock gradient_alone(int taps, std::integer_sequence<int, SIZE...>) {
    static constexpr GradientBlock blocks[] = {gradient_block<1, SIZE + 1>...};
    return blocks[taps - 1];
}

using SizesAlone = std::make_integer_sequence<int, TAPS_ALONE>;

}  // namespace

Correlation::Correlation(const std::vector<ptrdiff_t>& offsets, int outputs, int columns, ptrdiff_t in_step, Steps out,
                         bool add)
    : way_{offsets.data(), ptrdiff_t(offsets.size()), in_step, out, add}, outputs_(outputs), columns_(columns) {
    for_pieces(outputs, CHANNELS, [&](int o, int size) {
        for_pieces(columns, PIXELS, [&](int x, int width) {
            const Run run = in_step == 1 ? correlate_of<true>(size, width, Sizes())
                                         : correlate_of<false>(size, width, Sizes());
            blocks_.push_back({run, o * way_.count, x * in_step, o * out.plane + x * out.pixel});
        });
    });
}

void Correlation::row(const float* packed, const Vector* in, Vector* out) const {
    if (way_.count > 0) {
        for (const Block& block : blocks_) block.run(way_, packed + block.weights, in + block.in, out + block.out);
    } else if (!way_.add) {
        for (int o = 0; o < outputs_; o++)
            for (int x = 0; x < columns_; x++) out[o * way_.out.plane + x * way_.out.pixel] = Vector{};
    }
}

void correlate_gradient(const std::vector<RowPair>& rows, int columns, ptrdiff_t in_step, Steps out,
                        const std::vector<ptrdiff_t>& offsets, int outputs, Vector* sums) {
    // So many pixels that loading and storing the sums costs little beside them, and few enough for the cache.
    constexpr int TILE = 48;
    const int count = rows.size(), height = std::max(1, TILE / columns), pitch = offsets.size();
    for (int row = 0; row < count; row += height) {
        const Rows tile{rows.data() + row, std::min(height, count - row), columns, in_step, out};
        for_pieces(outputs, CHANNELS, [&](int first, int size) {
            Vector* own = sums + ptrdiff_t(first) * pitch;
            for_pieces(pitch, size == 1 ? TAPS_ALONE : PIXELS, [&](int tap, int taps) {
                const GradientBlock run = size == 1 ? gradient_alone(taps, SizesAlone())
                                                    : gradient_of(size, taps, Sizes());
                run(tile, offsets.data() + tap, first, own + tap, pitch);
            });
        });
    }
}

}  // namespace native
