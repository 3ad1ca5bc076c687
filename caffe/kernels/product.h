/* The innermost part of every matrix product: a block whose sums all stay in registers. */

#pragma once
#include "lanes.h"

#if LANES == 16
#define ROWS 8
#else
#define ROWS 4
#endif
#define COLUMNS (3 * LANES)
#define DEPTH 128 /* channels summed at a time: their part of a panel of V stays in the first cache */

/* m[ROWS][`parts` vectors] = or += the sum over `depth` of u[depth][ROWS] v[depth][COLUMNS]. */
static inline __attribute__((always_inline)) void sums(const float *u, const float *v, int64_t depth,
                                                       int add, float *m, int64_t stride, int parts) {
    vec sum[ROWS][3];
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++)
        for (int part = 0; part < parts; part++)
            sum[row][part] = add ? load(m + row * stride + part * LANES) : (vec){0};
    for (int64_t c = 0; c < depth; c++) {
        vec values[3];
        for (int part = 0; part < parts; part++) values[part] = load(v + part * LANES);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            vec weight = u[row] - (vec){0};
            for (int part = 0; part < parts; part++) sum[row][part] += weight * values[part];
        }
        u += ROWS;
        v += COLUMNS;
    }
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++)
        for (int part = 0; part < parts; part++) store(m + row * stride + part * LANES, sum[row][part]);
}

/* The same for a panel of which only `columns` are wanted: no more vectors than these fill. */
static void product(const float *u, const float *v, int64_t depth, int add, float *m, int64_t stride,
                    int64_t columns) {
    if (columns > 2 * LANES)
        sums(u, v, depth, add, m, stride, 3);
    else if (columns > LANES)
        sums(u, v, depth, add, m, stride, 2);
    else
        sums(u, v, depth, add, m, stride, 1);
}
