/* What every case runner shares: a program that runs library calls the host describes and sends their outputs back,
 * on a board or on the computer itself. A runner includes this file once and defines `run_case`.
 *
 * A case is a word (operation), its parameters as 32-bit little-endian words, then its arrays; the answer is the
 * output arrays. Operation END ends the program with code 0. Codes 10..: input ended early (10), arena too
 * small (11), bytes next to an array were overwritten (12), unknown operation (13).
 * With LG_CASE_MALLOC every array is a heap block of its own, for the address sanitizer; otherwise arrays lie in
 * LG_CASE_ARENA bytes of static memory with guard bytes after each. */
#ifndef LG_CASE_H
#define LG_CASE_H

#include <stdbool.h>
#include <string.h>

#include "lg_board.h"

enum { END };
enum { MAX_WORDS = 32, GUARD = 8, GUARD_BYTE = 0xA5, MAX_ARRAYS = 16 };

/* Runs one case; false: the operation is unknown. */
static bool run_case(uint32_t operation);

static int32_t words[MAX_WORDS];

#ifdef LG_CASE_MALLOC
#include <stdlib.h>

static void *arrays[MAX_ARRAYS];
static uint32_t array_count;

static void *take(size_t size)
{
    void *block = malloc(size > 0u ? size : 1u);
    if (block == NULL || array_count == MAX_ARRAYS) {
        lg_board_exit(11);
    }
    memset(block, GUARD_BYTE, size);
    arrays[array_count++] = block;
    return block;
}

static void release_all(void)
{
    while (array_count > 0u) {
        free(arrays[--array_count]);
    }
}
#else
#ifndef LG_CASE_ARENA
#define LG_CASE_ARENA 4096
#endif

static union {
    uint64_t align;
    uint8_t bytes[LG_CASE_ARENA];
} arena __attribute__((section(".lg_state")));
static size_t arena_used, guards[MAX_ARRAYS];
static uint32_t array_count;

static void *take(size_t size)
{
    const size_t start = (arena_used + 7u) & ~(size_t)7u;
    if (start + size + GUARD > sizeof arena.bytes || array_count == MAX_ARRAYS) {
        lg_board_exit(11);
    }
    guards[array_count++] = start + size;
    memset(arena.bytes + start, GUARD_BYTE, size + GUARD);
    arena_used = start + size + GUARD;
    return arena.bytes + start;
}

static void release_all(void)
{
    while (array_count > 0u) {
        const uint8_t *guard = arena.bytes + guards[--array_count];
        for (int i = 0; i < GUARD; i++) {
            if (guard[i] != GUARD_BYTE) {
                lg_board_exit(12);
            }
        }
    }
    arena_used = 0;
}
#endif

static void read_into(void *data, size_t size)
{
    if (lg_board_read(data, size) != size) {
        lg_board_exit(10);
    }
}

static inline void *receive(size_t size)
{
    void *data = take(size);
    read_into(data, size);
    return data;
}

static inline void reply_word(uint32_t word)
{
    (void)lg_board_write(&word, sizeof word);
}

static inline uint32_t word(uint32_t i)
{
    return (uint32_t)words[i];
}

int main(void)
{
    lg_board_init();
    for (;;) {
        uint32_t operation;
        read_into(&operation, sizeof operation);
        if (operation == END) {
            return 0;
        }
        if (!run_case(operation)) {
            return 13;
        }
        release_all();
    }
}

#endif
