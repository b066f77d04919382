// Blocks of up to CHANNELS channels by PIXELS pixels (or taps), held in registers; every size has its
// instance.
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

using GradientBlock = void (*)(const Rows&, const ptrdiff_t*, int, Vector*, ptrdiff_t);

// A channel alone, as a depthwise convolution has them, leaves registers for more pixels or taps.
constexpr int widest(int outputs) { return outputs == 1 ? 2 * PIXELS : PIXELS; }

template <int OUTPUTS, bool NEXT, int... SIZE>
Correlation::Run correlate_of(int width, std::integer_sequence<int, SIZE...>) {
    static constexpr Correlation::Run blocks[] = {correlate_block<OUTPUTS, SIZE + 1, NEXT>...};
    return blocks[width - 1];
}

template <int OUTPUTS, int... SIZE>
GradientBlock gradient_of(int taps, std::integer_sequence<int, SIZE...>) {
    static constexpr GradientBlock blocks[] = {gradient_block<OUTPUTS, SIZE + 1>...};
    return blocks[taps - 1];
}

template <int OUTPUTS = 1>
Correlation::Run correlate_of(int outputs, int width, bool next) {
    if constexpr (OUTPUTS < CHANNELS)
        if (outputs != OUTPUTS) return correlate_of<OUTPUTS + 1>(outputs, width, next);
    constexpr auto sizes = std::make_integer_sequence<int, widest(OUTPUTS)>();
    return next ? correlate_of<OUTPUTS, true>(width, sizes) : correlate_of<OUTPUTS, false>(width, sizes);
}

template <int OUTPUTS = 1>
GradientBlock gradient_of(int outputs, int taps) {
    if constexpr (OUTPUTS < CHANNELS)
        if (outputs != OUTPUTS) return gradient_of<OUTPUTS + 1>(outputs, taps);
    return gradient_of<OUTPUTS>(taps, std::make_integer_sequence<int, widest(OUTPUTS)>());
}

}  // namespace

Correlation::Correlation(const std::vector<ptrdiff_t>& offsets, int outputs, int columns, ptrdiff_t in_step,
                         Steps out, bool add)
    : way_{offsets.data(), ptrdiff_t(offsets.size()), in_step, out, add},
      outputs_(outputs),
      columns_(columns) {
    for_pieces(outputs, CHANNELS, [&](int o, int size) {
        for_pieces(columns, widest(size), [&](int x, int width) {
            blocks_.push_back({correlate_of(size, width, in_step == 1), o * way_.count, x * in_step,
                               o * out.plane + x * out.pixel});
        });
    });
}

void Correlation::row(const float* packed, const Vector* in, Vector* out) const {
    if (way_.count > 0) {
        for (const Block& block : blocks_)
            block.run(way_, packed + block.weights, in + block.in, out + block.out);
    } else if (!way_.add) {
        for (int o = 0; o < outputs_; o++)
            for (int x = 0; x < columns_; x++) out[o * way_.out.plane + x * way_.out.pixel] = Vector{};
    }
}

void correlate_gradient(const std::vector<RowPair>& rows, int columns, ptrdiff_t in_step, Steps out,
                        const std::vector<ptrdiff_t>& offsets, int outputs, Vector* sums) {
    // So many pixels that loading and storing the sums costs little beside them, and few enough for the
    // cache.
    constexpr int TILE = 48;
    const int count = rows.size(), height = std::max(1, TILE / columns), pitch = offsets.size();
    for (int row = 0; row < count; row += height) {
        const Rows tile{rows.data() + row, std::min(height, count - row), columns, in_step, out};
        for_pieces(outputs, CHANNELS, [&](int first, int size) {
            Vector* own = sums + ptrdiff_t(first) * pitch;
            for_pieces(pitch, widest(size), [&](int tap, int taps) {
                gradient_of(size, taps)(tile, offsets.data() + tap, first, own + tap, pitch);
            });
        });
    }
}

}  // namespace native
