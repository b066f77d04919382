/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_read, lg_board_write and lg_board_exit over semihosting: stdin, stdout and exit code of the host.
 * Semihosting needs QEMU or a debugger that serves it: on a board without one the breakpoint instruction faults, and
 * the fault handler, which asks the same way to end the program, locks the core up. A host that refuses its console
 * ends the program with exit code NO_CONSOLE.
 *
 * A call costs the host thousands of times what an instruction costs, so input is read ahead: SYS_READ of up to
 * AHEAD bytes comes back with what there is, without waiting for all of them. */
#ifndef LG_CHANNEL_UART
#include "channel.h"
#include "lg_board.h"
#include "semihosting.h"

enum { NO_CONSOLE = 63, AHEAD = 64 };

static struct {
    uint32_t input, output; /* handles */
    uint32_t next, end;     /* bytes [next, end) are read and not yet asked for */
    uint8_t bytes[AHEAD];
} host;

static uint32_t open_console(uintptr_t mode)
{
    static const char name[] = ":tt";
    const uintptr_t block[3] = {(uintptr_t)name, mode, sizeof name - 1u};
    const int32_t handle = semihosting(SYS_OPEN, block);
    if (handle < 0) {
        lg_board_exit(NO_CONSOLE);
    }
    return (uint32_t)handle;
}

void channel_open(void)
{
    host.input = open_console(OPEN_READ);
    host.output = open_console(OPEN_WRITE);
}

/* Bytes moved by one call. The host's answer is how many it did not move. */
static size_t transfer(uint32_t operation, uint32_t handle, uintptr_t data, size_t size)
{
    const uintptr_t block[3] = {handle, data, size};
    const int32_t left = semihosting(operation, block);
    return left < 0 || (size_t)left >= size ? 0u : size - (size_t)left;
}

size_t lg_board_read(void *data, size_t size)
{
    uint8_t *const to = data;
    size_t done = 0;
    while (done < size) {
        if (host.next < host.end) {
            to[done++] = host.bytes[host.next++];
        } else if (size - done >= AHEAD) {
            const size_t moved = transfer(SYS_READ, host.input, (uintptr_t)(to + done), size - done);
            if (moved == 0u) {
                break;
            }
            done += moved;
        } else {
            host.next = 0u;
            host.end = (uint32_t)transfer(SYS_READ, host.input, (uintptr_t)host.bytes, AHEAD);
            if (host.end == 0u) {
                break;
            }
        }
    }
    return done;
}

size_t lg_board_write(const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const size_t moved = transfer(SYS_WRITE, host.output, (uintptr_t)data + done, size - done);
        if (moved == 0u) {
            break;
        }
        done += moved;
    }
    return done;
}

void lg_board_exit(int code)
{
    const uintptr_t block[2] = {0x20026u /* ADP_Stopped_ApplicationExit */, (uintptr_t)code};
    (void)semihosting(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}
#else
typedef char host_channel_is_not_compiled;
#endif
