/* SPDX-License-Identifier: Apache-2.0 */
/* A camera that sees a file: for programs that run on a computer, by themselves or in QEMU.
 *
 * scene.bin, in the folder where the program was started, is what falls onto the photosites. All of it are words of 16
 * bits, the low byte first: SCENE_MAGIC, frames, rows, codes of a row, and for every photosite, row by row and frame by
 * frame, the photo-electrons that a line of exposure makes in it, in 1/256. After the last frame comes the first again.
 * firmware/simulated.py writes it.
 *
 * A photosite with e electrons reads BLACK + (e + n) / ELECTRONS, rounded, of 10 bits; n is Gaussian, of variance
 * e + READ_ELECTRONS^2: shot and read noise (EMVA 1288, linear model). All is integer, so one scene gives the same codes on
 * every core. Gaussian is the sum of twelve uniform numbers, whose tails end at 6 sigma. */
#include <stddef.h>
#include <stdint.h>

#include "lg_board.h"

enum { SCENE_MAGIC = 0x5343, SCENE_HEAD = 4, SCENE_SIDE = 256 };
enum { BLACK = 64, WHITE = 1023, READ_ELECTRONS = 12, USUAL_LINES = 100 };
#define ELECTRONS_256 2400u                     /* 9.375 electrons a code, in 1/256 */
#define MOST_256 (4u * 9000u * 256u)            /* electrons beyond this change no code */
#define UNIFORM_MEAN (12 * (int32_t)0xFFFF / 2) /* of the sum of twelve */

static struct {
    uint32_t lines;  /* of exposure; 0: USUAL_LINES */
    uint32_t random; /* state of the generator; 0: not started */
    uint32_t frame;
    uint32_t next; /* row that comes next */
    uint16_t head[SCENE_HEAD];
    uint16_t row[SCENE_SIDE];
} camera;

/* The file: open from its beginning (0 or LG_CAMERA_NO_ANSWER), and read on (bytes that came). */
static int scene_open(void);
static size_t scene_read(void *data, size_t size);

#ifdef __arm__
#include "semihosting.h"

static uint32_t scene_handle;

static int scene_open(void)
{
    if (scene_handle == 0u) {
        static const char name[] = "scene.bin";
        const uintptr_t block[3] = {(uintptr_t)name, OPEN_READ_BINARY, sizeof name - 1u};
        const int32_t handle = semihosting(SYS_OPEN, block);
        if (handle < 0) {
            return LG_CAMERA_NO_ANSWER;
        }
        scene_handle = (uint32_t)handle;
        return 0;
    }
    const uintptr_t block[2] = {scene_handle, 0u};
    return semihosting(SYS_SEEK, block) == 0 ? 0 : LG_CAMERA_NO_ANSWER;
}

static size_t scene_read(void *data, size_t size)
{
    const uintptr_t block[3] = {scene_handle, (uintptr_t)data, size};
    const int32_t left = semihosting(SYS_READ, block);
    return left < 0 || (size_t)left >= size ? 0u : size - (size_t)left;
}
#else
#include <stdio.h>

static FILE *scene_file;

static int scene_open(void)
{
    scene_file = scene_file == NULL ? fopen("scene.bin", "rb") : scene_file;
    return scene_file != NULL && fseek(scene_file, 0, SEEK_SET) == 0 ? 0 : LG_CAMERA_NO_ANSWER;
}

static size_t scene_read(void *data, size_t size)
{
    return fread(data, 1, size, scene_file);
}
#endif

static int scene_words(uint16_t *words, uint32_t count)
{
    uint8_t *const bytes = (uint8_t *)words;
    if (scene_read(bytes, 2u * count) != 2u * count) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        words[i] = (uint16_t)(bytes[2u * i] | bytes[2u * i + 1u] << 8);
    }
    return 0;
}

/* A number of mean 0 and standard deviation 65536 (xorshift32, Marsaglia 2003). */
static int32_t gaussian(void)
{
    uint32_t x = camera.random == 0u ? 0x9E3779B9u : camera.random;
    int32_t sum = -UNIFORM_MEAN;
    for (int i = 0; i < 6; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        sum += (int32_t)(x & 0xFFFFu) + (int32_t)(x >> 16);
    }
    camera.random = x;
    return sum;
}

static uint32_t square_root(uint32_t value)
{
    uint32_t root = 0u;
    for (uint32_t bit = 1u << 15; bit != 0u; bit >>= 1) {
        const uint32_t tried = root | bit;
        root = tried * tried <= value ? tried : root;
    }
    return root;
}

static uint16_t code_of(uint32_t electrons_256)
{
    const uint32_t signal = electrons_256 < MOST_256 ? electrons_256 : MOST_256;
    /* sigma^2 = V electrons^2: sigma in 1/256 is the root of 65536 V */
    const uint32_t sigma_256 = square_root(256u * (signal + 256u * READ_ELECTRONS * READ_ELECTRONS));
    const int32_t noise_256 = (int32_t)((int64_t)gaussian() * (int32_t)sigma_256 / 65536);
    const int32_t seen = (int32_t)(BLACK * ELECTRONS_256 + ELECTRONS_256 / 2u + signal) + noise_256;
    const int32_t code = seen < 0 ? 0 : seen / (int32_t)ELECTRONS_256;
    return (uint16_t)(code < WHITE ? code : WHITE);
}

static int begin_frame(uint32_t codes)
{
    if (camera.frame == 0u || camera.frame == camera.head[1]) {
        camera.frame = 0u;
        if (scene_open() != 0) {
            return LG_CAMERA_NO_ANSWER;
        }
        if (scene_words(camera.head, SCENE_HEAD) != 0 || camera.head[0] != SCENE_MAGIC) {
            return LG_CAMERA_OTHER;
        }
    }
    return codes == camera.head[3] && codes <= SCENE_SIDE ? 0 : LG_CAMERA_SIZE;
}

int lg_board_camera_line(void *line, uint32_t codes, uint32_t row)
{
    int status = row == camera.next || row == 0u ? 0 : LG_CAMERA_LATE;
    if (row == 0u && camera.next != 0u) { /* the frame was left in its middle: begin with the first */
        camera.frame = 0u;
        camera.next = 0u;
    }
    if (status == 0 && row == 0u) {
        status = begin_frame(codes);
    }
    if (status == 0 && (row >= camera.head[2] || scene_words(camera.row, codes) != 0)) {
        status = LG_CAMERA_NO_ROW;
    }
    if (status != 0) {
        camera.frame = 0u;
        camera.next = 0u;
        return status;
    }
    const uint32_t lines = camera.lines == 0u ? USUAL_LINES : camera.lines;
    uint16_t *const out = line;
    for (uint32_t i = 0; i < codes; i++) {
        out[i] = code_of(camera.row[i] * lines);
    }
    camera.next = row + 1u;
    if (camera.next == camera.head[2]) {
        camera.next = 0u;
        camera.frame++;
    }
    return 0;
}

int lg_board_camera_expose(uint32_t lines)
{
    camera.lines = lines;
    return 0;
}
