// Blocks of up to CHANNELS channels by PIXELS pixels (or taps), held in registers; every size has its instance.
#include "correlation.h"

#include <algorithm>
#include <utility>

namespace native {

std::vector<int> pieces(int count, int most) {
    int number = (count + most - 1) / most;
    std::vector<int> sizes(number);
    for (int k = 0; k < number; k++) sizes[k] = (count + k) / number;
    return sizes;
}

namespace {

struct Correlate {
    const ptrdiff_t* taps;
    int tap_count, inputs;
    ptrdiff_t in_plane, in_step, out_plane, out_step;
    bool add;
};

template <int OUTPUTS, int WIDTH>
void correlate_block(const Correlate& how, const float* weights, const Vector* in, Vector* out) {
    Vector sums[OUTPUTS][WIDTH];
    for (int o = 0; o < OUTPUTS; o++)
        for (int x = 0; x < WIDTH; x++)
            sums[o][x] = how.add ? out[o * how.out_plane + x * how.out_step] : Vector{};
    const ptrdiff_t step = how.in_step;
    for (int i = 0; i < how.inputs; i++, in += how.in_plane)
        for (int tap = 0; tap < how.tap_count; tap++, weights += OUTPUTS) {
            const Vector* from = in + how.taps[tap];
            Vector values[WIDTH];
            for (int x = 0; x < WIDTH; x++) values[x] = from[x * step];
            for (int o = 0; o < OUTPUTS; o++)
                for (int x = 0; x < WIDTH; x++) sums[o][x] += values[x] * weights[o];
        }
    for (int o = 0; o < OUTPUTS; o++)
        for (int x = 0; x < WIDTH; x++) out[o * how.out_plane + x * how.out_step] = sums[o][x];
}

struct Gradient {
    const RowPair* rows;
    int row_count, columns;
    ptrdiff_t in_step, out_step, out_plane, sums_pitch;
};

template <int OUTPUTS, int TAPS>
void gradient_block(const Gradient& how, const ptrdiff_t* offsets, int first, Vector* sums) {
    Vector held[OUTPUTS][TAPS];
    for (int o = 0; o < OUTPUTS; o++)
        for (int k = 0; k < TAPS; k++) held[o][k] = sums[o * how.sums_pitch + k];
    const ptrdiff_t in_step = how.in_step, out_step = how.out_step;
    for (int r = 0; r < how.row_count; r++) {
        const Vector* in[TAPS];
        const Vector* out[OUTPUTS];
        for (int k = 0; k < TAPS; k++) in[k] = how.rows[r].in + offsets[k];
        for (int o = 0; o < OUTPUTS; o++) out[o] = how.rows[r].out + (first + o) * how.out_plane;
        for (ptrdiff_t x = 0, i = 0, j = 0; x < how.columns; x++, i += in_step, j += out_step) {
            Vector values[TAPS];
            for (int k = 0; k < TAPS; k++) values[k] = in[k][i];
            for (int o = 0; o < OUTPUTS; o++) {
                Vector upstream = out[o][j];
                for (int k = 0; k < TAPS; k++) held[o][k] += upstream * values[k];
            }
        }
    }
    for (int o = 0; o < OUTPUTS; o++)
        for (int k = 0; k < TAPS; k++) sums[o * how.sums_pitch + k] = held[o][k];
}

using CorrelateBlock = void (*)(const Correlate&, const float*, const Vector*, Vector*);
using GradientBlock = void (*)(const Gradient&, const ptrdiff_t*, int, Vector*);

template <int... SIZE>
CorrelateBlock correlate_of(int outputs, int width, std::integer_sequence<int, SIZE...>) {
    static constexpr CorrelateBlock blocks[] = {correlate_block<SIZE / PIXELS + 1, SIZE % PIXELS + 1>...};
    return blocks[(outputs - 1) * PIXELS + width - 1];
}

template <int... SIZE>
GradientBlock gradient_of(int outputs, int taps, std::integer_sequence<int, SIZE...>) {
    static constexpr GradientBlock blocks[] = {gradient_block<SIZE / PIXELS + 1, SIZE % PIXELS + 1>...};
    return blocks[(outputs - 1) * PIXELS + taps - 1];
}

using Sizes = std::make_integer_sequence<int, CHANNELS * PIXELS>;

// The pieces of `count`, without memory for a list: calls use(first, size) for each.
template <class Use>
void for_pieces(int count, int most, Use use) {
    int number = (count + most - 1) / most;
    for (int k = 0, first = 0; k < number; k++) {
        int size = (count + k) / number;
        use(first, size);
        first += size;
    }
}

}  // namespace

void correlate(const float* packed, const std::vector<ptrdiff_t>& taps, int inputs, int outputs, Row in, Row out,
               int columns, bool add) {
    const Correlate how{taps.data(), int(taps.size()), inputs, in.plane, in.step, out.plane, out.step, add};
    for_pieces(outputs, CHANNELS, [&](int first, int size) {
        const float* weights = packed + size_t(first) * inputs * taps.size();
        for_pieces(columns, PIXELS, [&](int x, int width) {
            correlate_of(size, width, Sizes())(how, weights, in.start + x * in.step,
                                               out.start + first * out.plane + x * out.step);
        });
    });
}

void correlate_gradient(const std::vector<RowPair>& rows, int columns, ptrdiff_t in_step, ptrdiff_t out_step,
                        const std::vector<ptrdiff_t>& offsets, int outputs, ptrdiff_t out_plane, Vector* sums) {
    // So many pixels that loading and storing the sums costs little beside them, and few enough for the cache.
    constexpr int TILE = 96;
    const int count = rows.size(), height = std::max(1, TILE / columns), pitch = offsets.size();
    for (int row = 0; row < count; row += height) {
        const Gradient how{rows.data() + row, std::min(height, count - row), columns,
                           in_step, out_step, out_plane, pitch};
        for_pieces(outputs, CHANNELS, [&](int first, int size) {
            for_pieces(pitch, PIXELS, [&](int tap, int taps) {
                gradient_of(size, taps, Sizes())(how, offsets.data() + tap, first,
                                                 sums + ptrdiff_t(first) * pitch + tap);
            });
        });
    }
}

}  // namespace native
