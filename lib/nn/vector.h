/* vector.h - loops over floats that use the widest vectors of the machine.
 *
 * VECTOR before a function has it compiled for several x86 generations; the
 * loader picks. Not by clang 14, which leaves out the symbol that picks. The
 * compilers turn a loop of VECTOR_BLOCK rounds, a count they can see, into
 * vector instructions at -O2. */
#ifndef NN_VECTOR_H
#define NN_VECTOR_H

#if defined(__x86_64__) && !defined(__clang__)
#define VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTOR
#endif

enum { VECTOR_BLOCK = 64 };

#endif
