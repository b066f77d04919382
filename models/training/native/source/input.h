// From linear pixels P to a network's input: moved, encoded, and laid out image by lane.
#pragma once

#include <cstdint>
#include <vector>

#include "network.h"

namespace native {

// What becomes of one image: it is scaled by `extra` (models/moves.py), moved by `rows` and `columns`,
// mirrored, and a square is cut out of it.
struct Draw {
    int32_t rows, columns, mirrored, extra, cut, top, left;
};

enum Format { TABLE, LOG_GRADIENT, LEVELS };

// An input format, see loggrad_tf/transform/frontend.py.
//
// TABLE: `values` is the input of each P. LOG_GRADIENT: `logarithms` is log(P + c). LEVELS: by `ratios`,
// `shift`, `offset`.
struct FrontEnd {
    int32_t format, rows, columns;  // of the pixels
    int32_t valid;                  // only pixels that have four neighbours
    int32_t offset, shift, ratio_count;
    const int32_t* ratios;
    const float* values;
    const double* logarithms;
    int32_t last;    // the column that column 0 of a mirrored image comes from
    int32_t cutout;  // side of the square
};

// One image at a time: move() it, then encode its rows.
class Encoder {
   public:
    Encoder(const FrontEnd& front, const uint16_t* pixels) : front_(front), pixels_(pixels) {}
    int rows() const { return front_.rows - 2 * front_.valid; }
    int columns() const { return front_.columns - 2 * front_.valid; }
    size_t image_size() const { return size_t(front_.rows) * front_.columns; }

    // The pixels of an image as `draw` has it, which may be null: as it is. They are written to `memory` if
    // need be.
    const uint16_t* move(int64_t image, const Draw* draw, std::vector<uint16_t>& memory);
    // Row `row` of the network's input.
    void encode(const uint16_t* moved, const Draw* draw, int row, float* out);

   private:
    const uint16_t* scale(const uint16_t* pixels, const Draw& draw, std::vector<uint16_t>& memory);
    void levels(const uint16_t* up, const uint16_t* here, const uint16_t* down, float* out);
    void log_gradient(const uint16_t* up, const uint16_t* here, const uint16_t* down, float* out);

    const FrontEnd& front_;
    const uint16_t* pixels_;
    std::vector<int> places_;
    std::vector<double> side_;
};

// The input of `indices` into the network's first layer; lanes without an image are 0.
void read_batch(Network&, Encoder&, const int64_t* indices, const Draw* draws);

}  // namespace native
