/* What the forward pass and the gradient of the weights share: the points, and tiles of a map. */

#pragma once
#include "lanes.h"

#define P 0.75f /* the points */
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)

/* out = B' x, along one side of a tile. */
static inline void transform_input(const vec x[6], vec out[6]) {
    vec even_p = x[4] - QQ * x[2], odd_p = P * (x[3] - QQ * x[1]);
    vec even_q = x[4] - PP * x[2], odd_q = Q * (x[3] - PP * x[1]);
    out[0] = (PP * QQ) * x[0] - (PP + QQ) * x[2] + x[4];
    out[1] = even_p + odd_p;
    out[2] = even_p - odd_p;
    out[3] = even_q + odd_q;
    out[4] = even_q - odd_q;
    out[5] = (PP * QQ) * x[1] - (PP + QQ) * x[3] + x[5];
}

/* Floats of one of transform_row's rooms. */
static inline int64_t row_room(int64_t tiles) { return (round_up(tiles, LANES) * 4 + 4 * LANES) * 6; }

/* Tiles of size x size cells, four apart, of one channel and one tile row, transformed into
 * v[36][step]. top, left: the cell of the first tile's corner; cells outside of x are 0. rows, phases:
 * room for row_room(tiles) floats each. */
static inline __attribute__((always_inline)) void transform_row(
    const float *x, int64_t height, int64_t width, int64_t top, int64_t left, int64_t tiles, float *rows,
    float *phases, float *v, int64_t step, int size, void (*transform)(const vec *, vec *)) {
    int64_t span = row_room(tiles) / 6, room = span / 4;
    int64_t first = left < 0 ? -left : 0, last = width - left < span ? width - left : span;
    if (last < first) last = first;
    if (first > span) first = last = span;
    const float *from[6];
    for (int i = 0; i < size; i++) {
        int64_t at = top + i;
        if (at >= 0 && at < height && first == 0 && last == span) { /* needs no copy with zeros around */
            from[i] = x + at * width + left;
            continue;
        }
        float *row = rows + i * span;
        from[i] = row;
        if (at < 0 || at >= height) {
            memset(row, 0, span * sizeof(float));
            continue;
        }
        memset(row, 0, first * sizeof(float));
        memcpy(row + first, x + at * width + left + first, (last - first) * sizeof(float));
        memset(row + last, 0, (span - last) * sizeof(float));
    }
    /* down the columns, then every fourth value together: phase j holds cell j of every tile */
    for (int64_t t = 0; t < room; t += LANES) {
        vec done[4][6];
        for (int part = 0; part < 4; part++) {
            vec in[6];
            for (int i = 0; i < size; i++) in[i] = load(from[i] + 4 * t + part * LANES);
            transform(in, done[part]);
        }
        for (int i = 0; i < 6; i++) {
            vec even0 = every_other(done[0][i], done[1][i], 0), odd0 = every_other(done[0][i], done[1][i], 1);
            vec even1 = every_other(done[2][i], done[3][i], 0), odd1 = every_other(done[2][i], done[3][i], 1);
            float *phase = phases + 4 * i * room + t;
            store(phase, every_other(even0, even1, 0));
            store(phase + room, every_other(odd0, odd1, 0));
            store(phase + 2 * room, every_other(even0, even1, 1));
            store(phase + 3 * room, every_other(odd0, odd1, 1));
        }
    }
    /* along the rows; what a last vector writes too much, the next tile row overwrites */
    for (int i = 0; i < 6; i++) {
        const float *phase = phases + 4 * i * room;
        for (int64_t t = 0; t < tiles; t += LANES) {
            vec in[6], out[6];
            for (int j = 0; j < size; j++) in[j] = load(phase + (j % 4) * room + t + j / 4);
            transform(in, out);
            for (int j = 0; j < 6; j++) store(v + (6 * i + j) * step + t, out[j]);
        }
    }
}
