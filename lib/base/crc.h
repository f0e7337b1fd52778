/* crc.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of len bytes after those that gave crc; start with 0. */
uint32_t crc32c_of(uint32_t crc, const void *p, size_t len);

#endif
