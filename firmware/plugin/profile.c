/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of QEMU's translator (qemu-system-arm -plugin): what a function executes, block by block, in each context.
 *
 *   entry=ADDR       the function; counted is from its first instruction until it returns to its caller
 *   calls=FILE       optional: lines of "ADDR CONTEXT"; a load from ADDR begins CONTEXT, every entry begins context 0
 *   out=FILE         written at the end
 *   from=, to=, line=  optional: addresses of a memory, and the bytes that it gives at once, a power of two
 *
 * Addresses are hexadecimal, other numbers decimal. Lines of the output, decimal but for addresses:
 *
 *   B START COUNT CONTEXT FLOWN JUMPED LEFT   a block of COUNT instructions was entered FLOWN times from the
 *                                             instruction before it and JUMPED times from elsewhere, and left LEFT
 *                                             times for elsewhere than the instruction behind it
 *   M ADDR CONTEXT DONE LATE                  an instruction's accesses, and parts of them beyond the first
 *   L CONTEXT COUNT                           loads of data from another line of that memory than the one before
 *
 * QEMU's headers are in no Debian package; declared below is what is needed of its plugin API (qemu-plugin.h). */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef API_VERSION
#define API_VERSION 1
#endif
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint32_t mem_info;
enum { NO_REGISTERS, LOADS_AND_STORES = 3, PAGE = 1024 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, mem_info, uint64_t, void *), int,
                                      int, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
unsigned qemu_plugin_mem_size_shift(mem_info);
_Bool qemu_plugin_mem_is_store(mem_info);

EXPORT int qemu_plugin_version = API_VERSION;

typedef struct {
    uint64_t flown, jumped, left;
} passages;

typedef struct {
    uint64_t done, late;
} accesses;

/* As QEMU has translated it; the same code may be translated twice. */
typedef struct block {
    struct block *next;
    uint32_t start, end, count;
    passages *in; /* by context */
} block;

typedef struct place {
    struct place *next;
    uint32_t address;
    accesses *in; /* by context */
} place;

static block *blocks;
static place *places;
static uint32_t entry, first_call, last_call, back; /* back: where the function returns to */
static uint32_t *calls;                             /* context + 1 of each address from first_call, 0: none */
static size_t contexts = 1;
static uint64_t memory_from, memory_to, line_bytes, last_line, *lines; /* lines: by context */
static const char *out_name;
static int inside;
static size_t context;
static const block *before; /* the block executed last */

static void *zeros(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "profile: out of memory\n");
        exit(1);
    }
    return memory;
}

/* Does one begin where the other ends? Of a block that ends ahead of an instruction across two pages QEMU takes the
 * first half of that for the end. */
static int flows(const block *from, const block *to)
{
    return from != NULL && (from->end == to->start || (from->end % PAGE == 0u && from->end - 2u == to->start));
}

static void on_block(unsigned cpu, void *data)
{
    const block *now = data;
    const int jumped = !flows(before, now);
    (void)cpu;
    if (inside && jumped && before != NULL) {
        before->in[context].left++;
    }
    if (inside && now->start == back) {
        inside = 0;
    } else if (!inside && now->start == entry && before != NULL) {
        inside = 1;
        back = before->end;
        context = 0;
    }
    if (inside) {
        passages *in = &now->in[context];
        *(jumped ? &in->jumped : &in->flown) += 1;
    }
    before = now;
}

static void on_access(unsigned cpu, mem_info info, uint64_t address, void *data)
{
    const place *here = data;
    const unsigned shift = qemu_plugin_mem_size_shift(info);
    (void)cpu;
    if (!inside) {
        return;
    }
    if (address >= first_call && address < last_call && calls[address - first_call] != 0u) {
        context = calls[address - first_call] - 1u;
    }
    here->in[context].done++;
    if (lines != NULL && address >= memory_from && address < memory_to && !qemu_plugin_mem_is_store(info)) {
        const uint64_t line = address / line_bytes;
        lines[context] += line != last_line;
        last_line = line;
    }
    if (shift > 0u && (address & 1u) != 0u) {
        here->in[context].late += shift > 1u ? 2u : 1u; /* byte, halfword, byte; or byte, byte */
    } else if (shift > 1u && (address & 2u) != 0u) {
        here->in[context].late += 1u; /* two halfwords */
    }
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    const size_t count = qemu_plugin_tb_n_insns(tb);
    block *made = zeros(1, sizeof *made);
    (void)id;
    made->next = blocks;
    made->count = (uint32_t)count;
    blocks = made;
    made->in = zeros(contexts, sizeof *made->in);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *const instruction = qemu_plugin_tb_get_insn(tb, i);
        place *here = zeros(1, sizeof *here);
        here->next = places;
        places = here;
        here->address = (uint32_t)qemu_plugin_insn_vaddr(instruction);
        here->in = zeros(contexts, sizeof *here->in);
        if (i == 0u) {
            made->start = here->address;
        }
        made->end = here->address + (uint32_t)qemu_plugin_insn_size(instruction);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_access, NO_REGISTERS, LOADS_AND_STORES, here);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGISTERS, made);
}

static void on_exit_of_qemu(plugin_id id, void *data)
{
    FILE *out = fopen(out_name, "w");
    (void)id;
    (void)data;
    if (out == NULL) {
        perror(out_name);
        return;
    }
    for (const block *b = blocks; b != NULL; b = b->next) {
        for (size_t i = 0; i < contexts; i++) {
            const passages *n = &b->in[i];
            if (n->flown + n->jumped > 0u) {
                fprintf(out, "B %x %u %zu %llu %llu %llu\n", b->start, b->count, i, (unsigned long long)n->flown,
                        (unsigned long long)n->jumped, (unsigned long long)n->left);
            }
        }
    }
    for (const place *p = places; p != NULL; p = p->next) {
        for (size_t i = 0; i < contexts; i++) {
            const accesses *n = &p->in[i];
            if (n->done > 0u) {
                fprintf(out, "M %x %zu %llu %llu\n", p->address, i, (unsigned long long)n->done,
                        (unsigned long long)n->late);
            }
        }
    }
    for (size_t i = 0; lines != NULL && i < contexts; i++) {
        fprintf(out, "L %zu %llu\n", i, (unsigned long long)lines[i]);
    }
    fclose(out);
}

static int read_calls(const char *name)
{
    FILE *file = fopen(name, "r");
    unsigned address, number, count = 0;
    if (file == NULL) {
        return 0;
    }
    while (fscanf(file, "%x %u", &address, &number) == 2) {
        first_call = count == 0u || address < first_call ? address : first_call;
        last_call = address >= last_call ? address + 1u : last_call;
        contexts = number >= contexts ? number + 1u : contexts;
        count++;
    }
    calls = zeros(last_call - first_call + 1u, sizeof *calls);
    rewind(file);
    while (fscanf(file, "%x %u", &address, &number) == 2) {
        calls[address - first_call] = number + 1u;
    }
    fclose(file);
    return 1;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        value = value == NULL ? "" : value + 1;
        if (strncmp(argv[i], "entry=", 6) == 0) {
            entry = (uint32_t)strtoul(value, NULL, 16);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out_name = strdup(value);
        } else if (strncmp(argv[i], "from=", 5) == 0) {
            memory_from = strtoul(value, NULL, 16);
        } else if (strncmp(argv[i], "to=", 3) == 0) {
            memory_to = strtoul(value, NULL, 16);
        } else if (strncmp(argv[i], "line=", 5) == 0) {
            line_bytes = strtoul(value, NULL, 10);
        } else if (strncmp(argv[i], "calls=", 6) == 0) {
            if (!read_calls(value)) {
                fprintf(stderr, "profile: %s cannot be read\n", value);
                return 1;
            }
        }
    }
    if (entry == 0u || out_name == NULL) {
        fprintf(stderr, "profile: entry=ADDR and out=FILE are needed\n");
        return 1;
    }
    if (line_bytes > 0u) {
        lines = zeros(contexts, sizeof *lines);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
