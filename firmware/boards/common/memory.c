/* SPDX-License-Identifier: Apache-2.0 */
/* memcpy and memset, which the linker takes in place of the C library's: a third to a half of their bytes. Compilers
 * call them for loops and structs too. They move words at a time; a core that cannot load those from any address moves
 * bytes where they lie askew. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_UNALIGNED)
typedef uint32_t __attribute__((may_alias, aligned(1))) word;
enum { ASKEW = 0 };
#else
typedef uint32_t __attribute__((may_alias)) word;
enum { ASKEW = sizeof(word) - 1 };
#endif

/* A loop that compilers do not take for a call of memcpy or memset. */
#define A_LOOP __asm__ volatile("" ::: "memory")

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((((uintptr_t)out | (uintptr_t)in) & ASKEW) == 0u) {
        for (; size >= sizeof(word); size -= sizeof(word)) {
            A_LOOP;
            *(word *)(void *)out = *(const word *)(const void *)in;
            out += sizeof(word);
            in += sizeof(word);
        }
    }
    for (; size > 0u; size--) {
        A_LOOP;
        *out++ = *in++;
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *out = to;
    const uint8_t byte = (uint8_t)value;
    if (((uintptr_t)out & ASKEW) == 0u) {
        for (; size >= sizeof(word); size -= sizeof(word)) {
            A_LOOP;
            *(word *)(void *)out = byte * 0x01010101u;
            out += sizeof(word);
        }
    }
    for (; size > 0u; size--) {
        A_LOOP;
        *out++ = byte;
    }
    return to;
}
