/* SPDX-License-Identifier: Apache-2.0 */
/* What a LogGrad call reports. Zero and positive: fine. Negative: nothing was done. */
#ifndef LG_STATUS_H
#define LG_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    LG_OK = 0,                     /* done; an output line was written where one was asked for */
    LG_NO_LINE = 1,                /* the input line was taken, no output line is ready yet */
    LG_WORK = 2,                   /* the input line was taken, ..._step has work left before the next one */
    LG_ERROR_NULL = -1,            /* a pointer that must not be NULL is NULL */
    LG_ERROR_WIDTH = -2,           /* configured width is 0 */
    LG_ERROR_HEIGHT = -3,          /* configured height is 0 */
    LG_ERROR_CODES = -4,           /* bits not 8..16, code_bytes not 1 or 2, or too few for bits */
    LG_ERROR_LEVELS = -5,          /* black >= white, or white > 2^bits - 1 */
    LG_ERROR_RATIOS = -6,          /* count not 1..3, shift > 24, or ratios not 2^shift <= K_1 < K_2 < ... */
    LG_ERROR_OFFSET = -7,          /* offset is 0: the ratio test would lose its meaning at black */
    LG_ERROR_RANGE = -8,           /* (span + offset)^2 * max(K, 2^shift) does not fit 64 bits */
    LG_ERROR_PACKING = -9,         /* packing unknown, or too small for this number of levels */
    LG_ERROR_MEMORY = -10,         /* caller's memory is too small or not aligned to a code */
    LG_ERROR_LINE_NARROW = -11,    /* the pushed line has fewer pixels than the configured width */
    LG_ERROR_LINE_WIDE = -12,      /* the pushed line has more pixels than the configured width */
    LG_ERROR_TOO_MANY_LINES = -13, /* the frame is complete: call ..._flush, then ..._restart */
    LG_ERROR_TOO_FEW_LINES = -14,  /* flush before the frame's last line was pushed */
    LG_ERROR_TABLE = -15,          /* the table's length is not span + 1 */
    LG_ERROR_ALIGNMENT = -16,      /* the line's address is no multiple of code_bytes */
    LG_ERROR_MODEL = -17,          /* the caller was built for another model */
    LG_ERROR_NOT_READY = -18,      /* ..._init was not called, or it refused */
    LG_ERROR_WORK_LEFT = -19       /* ..._step has work left from the line before */
} lg_status;

#ifdef __cplusplus
}
#endif

#endif
