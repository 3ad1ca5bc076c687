/* Values filtered by a permutohedral lattice: sums over all points, weighted by a Gaussian of the distance of
 * their features, in time linear in the number of points. */

#include "lanes.h"

enum { WIDTH = 8, CHUNK = 512 };

typedef float part __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* As class Filter of library.py states it */
struct filter {
    int64_t points, d, vertices;
    const int32_t *vertex, *lines; /* points x (d + 1); (d + 1) x vertices, see lattice.c */
    const float *weight;               /* points x (d + 1) */
    const int32_t *start, *member;     /* the points around vertex v: member[start[v]] to start[v + 1] */
    const float *share;                /* and the weight of each */
};

#define ROWS static inline __attribute__((always_inline)) void

/* table[v] = the values around vertex v, weighted. */
ROWS splat(const struct filter *f, const float *values, int64_t width, float *table, int64_t from,
           int64_t to, const int parts) {
    for (int64_t v = from; v < to; v++) {
        part sum[4] = {{0}};
        for (int32_t i = f->start[v]; i < f->start[v + 1]; i++)
            for (int p = 0; p < parts; p++)
                sum[p] += f->share[i] * *(const part *)(values + f->member[i] * width + p * WIDTH);
        for (int p = 0; p < parts; p++) *(part *)(table + (v * parts + p) * WIDTH) = sum[p];
    }
}

/* Adds to each vertex half of its neighbours on a line, for the lines that begin at `from` to `to`. */
ROWS blur(const int32_t *line, float *table, int64_t from, int64_t to, int64_t count, const int parts) {
    while (from < to && line[from] >= 0) from++;
    for (int64_t i = from; i < to;) {
        part *row = (part *)table + (int64_t)~line[i] * parts, before[4] = {{0}}, own[4];
        for (int p = 0; p < parts; p++) own[p] = row[p];
        for (i++; i < count && line[i] >= 0; i++) {
            part *behind = (part *)table + (int64_t)line[i] * parts;
            for (int p = 0; p < parts; p++) {
                part other = behind[p];
                row[p] = own[p] + .5f * (before[p] + other);
                before[p] = own[p];
                own[p] = other;
            }
            row = behind;
        }
        for (int p = 0; p < parts; p++) row[p] = own[p] + .5f * before[p];
    }
}

/* y[n] = onto[n] + scale[n] * what the vertices around point n hold. */
ROWS slice(const struct filter *f, const float *table, const float *onto, const float *scale, float *y,
           int64_t width, int64_t from, int64_t to, const int parts) {
    for (int64_t n = from; n < to; n++) {
        part sum[4] = {{0}};
        for (int k = 0; k <= f->d; k++) {
            const part *row = (const part *)table + (int64_t)f->vertex[n * (f->d + 1) + k] * parts;
            for (int p = 0; p < parts; p++) sum[p] += f->weight[n * (f->d + 1) + k] * row[p];
        }
        for (int p = 0; p < parts; p++) {
            int64_t at = n * width + p * WIDTH;
            part base = onto ? *(const part *)(onto + at) : (part){0};
            *(part *)(y + at) = base + scale[n] * sum[p];
        }
    }
}

#define EACH_WIDTH(rows, ...)                                                                              \
    switch (parts) {                                                                                       \
    case 1: rows(__VA_ARGS__, 1); break;                                                                   \
    case 2: rows(__VA_ARGS__, 2); break;                                                                   \
    case 3: rows(__VA_ARGS__, 3); break;                                                                   \
    default: rows(__VA_ARGS__, 4);                                                                         \
    }

/* y = onto + scale * filtered values, `parts` parts of rows of `width` floats. `table`: vertices x parts x
 * WIDTH. */
static void filter_parts(const struct filter *f, const float *values, const float *onto, const float *scale,
                         float *y, int64_t width, int transposed, float *table, int parts, int threads) {
    int64_t count = f->vertices;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (int64_t v = 0; v < count; v += CHUNK)
            EACH_WIDTH(splat, f, values, width, table, v, least(v + CHUNK, count))
        for (int i = 0; i <= f->d; i++) {
            const int32_t *line = f->lines + (transposed ? f->d - i : i) * count;
#pragma omp for
            for (int64_t v = 0; v < count; v += CHUNK)
                EACH_WIDTH(blur, line, table, v, least(v + CHUNK, count), count)
        }
#pragma omp for
        for (int64_t n = 0; n < f->points; n += CHUNK)
            EACH_WIDTH(slice, f, table, onto, scale, y, width, n, least(n + CHUNK, f->points))
    }
}

/* y = onto + scale * filtered values, all points x width, width a multiple of WIDTH; onto may be NULL,
 * scale has a number a point. The transposed filter blurs in the reverse order. */
void lattice_filter(const struct filter *f, const float *values, const float *onto, const float *scale,
                    float *y, int64_t width, int transposed, float *table, int threads) {
    for (int64_t c = 0; c < width; c += 4 * WIDTH)
        filter_parts(f, values + c, onto ? onto + c : NULL, scale, y + c, width, transposed, table,
                     least(4, (width - c) / WIDTH), threads);
}
