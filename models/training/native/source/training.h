// A step of training: loss, gradient, optimiser.
#pragma once

#include "input.h"
#include "network.h"

namespace native {

// See models/training/descent.py, whose arithmetic this is.
struct Descent {
    int32_t adam;
    float momentum, smoothing, decay;  // decay: share of a weight taken off, of a rate of 1
    float object_weight;               // what an answer with a label above 0 counts beside the others
    float* slots;                      // momenta, or first and then second moments, the caller's
    float powers[2];                   // of Adam's constants, after as many steps as were made
};

// What a step reports: mean loss, and share of answers that are right: one an image, or one a cell of it.
struct Report {
    float loss, right;
};

void forward(Network&, bool training);
void backward(Network&);
// `labels`: of each image, or of each of its cells, row by row; nothing is asked for where one is negative.
Report loss_gradient(Network&, const Descent&, const int32_t* labels);
void descend(Network&, Descent&, float rate);

}  // namespace native
