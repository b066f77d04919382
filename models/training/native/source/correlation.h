// The two loops in which a network spends its time: a correlation of maps with kernels, and its gradient by
// the kernels.
//
// A kernel is a list of offsets in vectors from a pixel's place, one for each input channel and tap, so its
// shape, its stride and padding (the map has a border) are no concern of the loops. The same loop makes the
// output of a convolution from its input and the gradient of the input from that of the output.
#pragma once

#include <vector>

#include "vectors.h"

namespace native {

// The offsets of all taps in all of `inputs` planes, in the order in which pack() has their weights.
std::vector<ptrdiff_t> in_planes(const std::vector<ptrdiff_t>& taps, int inputs, ptrdiff_t plane);

// Use(first, size) for as few pieces of `count` things as there must be, of at most `most` and of nearly
// equal size.
template <class Use>
void for_pieces(int count, int most, Use use) {
    const int number = (count + most - 1) / most, size = count / number, larger = count % number;
    for (int k = 0, first = 0; k < number; k++) {
        const int own = k < larger ? size + 1 : size;
        use(first, own);
        first += own;
    }
}

// Weights in the order in which a Correlation reads them; weight(out, in, tap) gives each.
template <class Weight>
void pack(int outputs, int inputs, int taps, std::vector<float>& packed, Weight weight) {
    packed.resize(size_t(outputs) * inputs * taps);
    float* place = packed.data();
    for_pieces(outputs, CHANNELS, [&](int first, int size) {
        for (int in = 0; in < inputs; in++)
            for (int tap = 0; tap < taps; tap++)
                for (int out = first; out < first + size; out++) *place++ = weight(out, in, tap);
    });
}

// How rows lie in memory: vectors from a channel to the next, and from a pixel to the next.
struct Steps {
    ptrdiff_t plane, pixel;
};

// out[o][x] = sum over k of in[x + offsets[k]] * weights[o][k], a row at a time; added to what is there where
// `add`.
class Correlation {
   public:
    // The offsets are those of one input pixel in all planes; they must outlive this. There may be none.
    Correlation(const std::vector<ptrdiff_t>& offsets, int outputs, int columns, ptrdiff_t in_step, Steps out,
                bool add);

    void row(const float* packed, const Vector* in, Vector* out) const;

    struct Way {
        const ptrdiff_t* offsets;
        ptrdiff_t count, in_step;
        Steps out;
        bool add;
    };
    using Run = void (*)(const Way&, const float*, const Vector*, Vector*);

   private:
    struct Block {
        Run run;
        ptrdiff_t weights, in, out;
    };
    Way way_;
    int outputs_, columns_;
    std::vector<Block> blocks_;
};

// A row of a layer's input and the row of its output's gradient that it meets.
struct RowPair {
    const Vector* in;
    const Vector* out;
};

// sums[o][k] += sum over rows and pixels of out[o][x] * in[x + offsets[k]], for all o and k, lane by lane.
void correlate_gradient(const std::vector<RowPair>& rows, int columns, ptrdiff_t in_step, Steps out,
                        const std::vector<ptrdiff_t>& offsets, int outputs, Vector* sums);

}  // namespace native
