/* lg_board_read, lg_board_write and lg_board_exit over semihosting: stdin, stdout and exit code of the host.
 * Semihosting needs QEMU or a debugger that serves it: on a board without one the breakpoint instruction faults, and
 * the fault handler, which asks the same way to end the program, locks the core up. A host that refuses its console
 * ends the program with exit code NO_CONSOLE. */
#include "host_channel.h"

#include "lg_board.h"
#include "semihosting.h"

enum { NO_CONSOLE = 63 };

static uint32_t input, output;

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

void host_channel_open(void)
{
    input = open_console(OPEN_READ);
    output = open_console(OPEN_WRITE);
}

/* Both operations return how many bytes they did not move; a read may come back with less than asked for. */
static size_t transfer(uint32_t operation, uint32_t handle, uintptr_t data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const uintptr_t block[3] = {handle, data + done, size - done};
        const int32_t left = semihosting(operation, block);
        if (left < 0 || (size_t)left >= size - done) {
            break;
        }
        done = size - (size_t)left;
    }
    return done;
}

size_t lg_board_read(void *data, size_t size)
{
    return transfer(SYS_READ, input, (uintptr_t)data, size);
}

size_t lg_board_write(const void *data, size_t size)
{
    return transfer(SYS_WRITE, output, (uintptr_t)data, size);
}

void lg_board_exit(int code)
{
    const uintptr_t block[2] = {0x20026u /* ADP_Stopped_ApplicationExit */, (uintptr_t)code};
    (void)semihosting(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}
