/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 as in zlib and IEEE 802.3 (reflected, polynomial 0xEDB88320): lg_crc32(0, data, n) equals
 * zlib.crc32(data), and lg_crc32(lg_crc32(0, a, n), b, m) is the CRC of a followed by b. */
#ifndef LG_CRC32_H
#define LG_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t lg_crc32(uint32_t crc, const void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
