// The two loops in which a network spends its time: a correlation of maps with kernels, and its gradient by the kernels.
//
// A kernel is a list of taps, each an offset in vectors from a pixel's place, so its shape, its stride and padding (the
// map has a border) are no concern of the loops. The same loop makes the output of a convolution from its input and
// the gradient of the input from that of the output.
#pragma once

#include <vector>

#include "vectors.h"

namespace native {

// One row of pixels in several planes: pixel x of channel c is start[c * plane + x * step].
struct Row {
    Vector* start;
    ptrdiff_t plane, step;
};

// `count` things in as few pieces of at most `most` as there must be, of nearly equal size.
std::vector<int> pieces(int count, int most);

// Weights in the order in which correlate() reads them; weight(out, in, tap) gives each.
template <class Weight>
void pack(int outputs, int inputs, int taps, std::vector<float>& packed, Weight weight) {
    packed.resize(size_t(outputs) * inputs * taps);
    float* place = packed.data();
    int first = 0;
    for (int piece : pieces(outputs, CHANNELS)) {
        for (int in = 0; in < inputs; in++)
            for (int tap = 0; tap < taps; tap++)
                for (int out = first; out < first + piece; out++) *place++ = weight(out, in, tap);
        first += piece;
    }
}

// out[o][x] = sum over i and taps of in[i][x + tap] * weights, added to what is there where `add`.
void correlate(const float* packed, const std::vector<ptrdiff_t>& taps, int inputs, int outputs, Row in, Row out,
               int columns, bool add);

// A row of a layer's input and the row of its output's gradient that it meets.
struct RowPair {
    const Vector* in;
    const Vector* out;
};

// sums[o][k] += sum over rows and pixels of out[o][x] * in[x + offsets[k]], for all o and k, lane by lane.
//
// `sums` holds outputs * offsets.size() vectors. `in_step` and `out_step` are between pixels, `out_plane` between channels.
void correlate_gradient(const std::vector<RowPair>& rows, int columns, ptrdiff_t in_step, ptrdiff_t out_step,
                        const std::vector<ptrdiff_t>& offsets, int outputs, ptrdiff_t out_plane, Vector* sums);

}  // namespace native
