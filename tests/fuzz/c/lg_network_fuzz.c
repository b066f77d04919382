/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of net.h in any order, with any rows. Laws: what must be refused is refused and changes nothing; what is
 * taken gives, whole or in steps, the scores that another state gives for the same rows at once; the scores of the
 * frames of expected.h are TFLite's. State and rows lie in memory of their exact size. */
#include "lg_network.h"

enum { INIT, INIT_WRONG, BEGIN, PUSH, FEED, STEP, SCORES, FRAME, CALLS };

static net_state *net, *other;
static net_code taken[NET_ROWS][NET_ROW_CODES];
static uint32_t rows;      /* taken in this frame */
static int ready, working; /* net_init has been called; net_step has something to do */
static int compared;       /* this frame's scores have been */
static volatile uint32_t seen;

static const uint8_t *next, *end;

static uint8_t take(void)
{
    return next < end ? *next++ : 0u;
}

static void observe(uint32_t layer, const int8_t *data, uint32_t size)
{
    REQUIRE(layer < NET_LAYERS);
    for (uint32_t i = 0; i < size; i++) {
        seen += (uint8_t)data[i];
    }
}

static void compare(const net_code (*frame)[NET_ROW_CODES], const int8_t *scores)
{
    const int8_t *found = NULL;
    REQUIRE(net_init(other, sizeof *other, NET_MODEL_SHA256, NULL) == LG_OK);
    for (uint32_t y = 0; y < NET_ROWS; y++) {
        REQUIRE(net_push_row(other, frame[y], NET_ROW_CODES) == (y + 1u < NET_ROWS ? LG_NO_LINE : LG_OK));
    }
    REQUIRE(net_scores(other, &found) == LG_OK);
    REQUIRE(memcmp(found, scores, NET_OUTPUTS) == 0);
}

static void check_scores(void)
{
    const int8_t *scores = NULL;
    const lg_status status = net_scores(net, &scores);
    REQUIRE((status == LG_OK) == (ready && rows == NET_ROWS && !working));
    const int32_t label = net_class(net);
    REQUIRE(status == LG_OK ? label >= 0 : label < 0);
    if (status == LG_OK && !compared) {
        compared = 1;
        compare((const net_code(*)[NET_ROW_CODES])taken, scores);
    }
}

static void begin(int is_ready)
{
    ready = is_ready;
    rows = 0u;
    working = 0;
    compared = 0;
}

static void give_row(int call)
{
    const uint8_t form = take();
    const uint32_t codes = form < 0xF0u ? NET_ROW_CODES : (uint32_t)(form & 15u) * 2u;
    net_code *row = malloc(codes * sizeof *row + 1u);
    REQUIRE(row != NULL);
    for (size_t i = 0; i < codes * sizeof *row; i++) {
        ((uint8_t *)row)[i] = take();
    }
    const net_code *given = form == 0xEFu ? NULL : row;
    const lg_status status = call == PUSH ? net_push_row(net, given, codes) : net_feed_row(net, given, codes);
    const int right = given != NULL && ready && codes == NET_ROW_CODES && rows < NET_ROWS && !working;
    REQUIRE((status >= 0) == right);
    REQUIRE(call == FEED || status != LG_WORK);
    if (right) {
        memcpy(taken[rows++], row, sizeof taken[0]);
        working = status == LG_WORK;
        REQUIRE(working || status == (rows < NET_ROWS ? LG_NO_LINE : LG_OK));
    }
    free(row);
}

static void step(void)
{
    const lg_status status = net_step(net);
    REQUIRE(ready || status < 0);
    if (working) {
        working = status == LG_WORK;
        REQUIRE(working || status == (rows < NET_ROWS ? LG_NO_LINE : LG_OK));
    } else {
        REQUIRE(status != LG_WORK);
    }
}

static void push_frame(void)
{
    const uint32_t frame = take() % FRAMES;
    if (ready && net_begin(net) == LG_OK) {
        begin(1);
        for (uint32_t y = 0; y < NET_ROWS; y++) {
            REQUIRE(net_push_row(net, frames[frame][y], NET_ROW_CODES) >= 0);
            memcpy(taken[rows++], frames[frame][y], sizeof taken[0]);
        }
        compare(frames[frame], expected[frame]);
        check_scores();
    }
}

static void call(int which)
{
    switch (which) {
    case INIT:
        REQUIRE(net_init(net, sizeof *net, NET_MODEL_SHA256, take() & 1u ? observe : NULL) == LG_OK);
        begin(1);
        break;
    case INIT_WRONG:
        REQUIRE(net_init(net, take() % sizeof *net, NET_MODEL_SHA256, NULL) == LG_ERROR_MEMORY);
        break;
    case BEGIN:
        REQUIRE((net_begin(net) == LG_OK) == ready);
        begin(ready);
        break;
    case PUSH:
    case FEED:
        give_row(which);
        break;
    case STEP:
        for (uint32_t calls = (uint32_t)take() + 1u; calls > 0u; calls--) {
            step();
        }
        break;
    case SCORES:
        check_scores();
        break;
    default:
        push_frame();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    net = calloc(1u, sizeof *net);
    other = calloc(1u, sizeof *other);
    REQUIRE(net != NULL && other != NULL);
    next = data;
    end = data + size;
    begin(0);
    while (next < end) {
        call(take() % CALLS);
    }
    check_scores();
    free(net);
    free(other);
    return 0;
}
