/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that must be part of their caller: what they are called with is constant there. Private to the library. */
#ifndef LG_INLINE_H
#define LG_INLINE_H

#if defined(__GNUC__)
#define LG_INLINE static inline __attribute__((always_inline))
#else
#define LG_INLINE static inline
#endif

#endif
