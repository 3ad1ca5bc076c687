/* Vectors of as many floats as the processor's registers hold, in GCC's and clang's portable form. */

#pragma once
#include <omp.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

static inline vec load(const float *at) { return *(const vec *)at; }
static inline void store(float *at, vec v) { *(vec *)at = v; }

static inline vec choose(ivec where, vec a, vec b) {
    return (vec)((where & (ivec)a) | (~where & (ivec)b));
}

/* Lanes of a and b joined, as `pick` counts them; GCC's builtin, or lane by lane, which clang turns
 * into the same instruction. */
static inline vec joined(vec a, vec b, ivec pick) {
#if defined(__clang__)
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = pick[i] < LANES ? a[pick[i]] : b[pick[i] - LANES];
    return out;
#else
    return __builtin_shuffle(a, b, pick);
#endif
}

/* Every other lane of a and b joined: from the first (odd = 0) or the second. */
static inline vec every_other(vec a, vec b, int odd) {
    ivec pick;
    for (int i = 0; i < LANES; i++) pick[i] = 2 * i + odd;
    return joined(a, b, pick);
}

/* Lanes of a and b in turn: the lower half of each (high = 0) or the upper. */
static inline vec in_turn(vec a, vec b, int high) {
    ivec pick;
    for (int i = 0; i < LANES; i++) pick[i] = high * LANES / 2 + i / 2 + (i % 2) * LANES;
    return joined(a, b, pick);
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
