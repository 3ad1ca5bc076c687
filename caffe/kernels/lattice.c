/* The permutohedral lattice of points (Adams, Baek and Davis 2010), by which lattice_filter.c filters. */

#include "lanes.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { FEATURES = 8, CORNERS = FEATURES + 1 };
#define FREE UINT64_MAX /* a place of the hash table that has no vertex */

/* As class Space of library.py states it */
struct space {
    int64_t points, d;
    const float *features; /* points x d, in standard deviations */
    int64_t least[CORNERS], radix[CORNERS]; /* of a vertex's first d coordinates, packed as one number */
};

struct table {
    uint64_t *keys; /* the vertices at the places */
    int32_t *numbers;
    int64_t places, count;
};

static int make_table(struct table *t, int64_t places) {
    t->places = places;
    t->count = 0;
    t->keys = malloc(places * sizeof(uint64_t));
    t->numbers = malloc(places * sizeof(int32_t));
    if (!t->keys || !t->numbers) return 0;
    memset(t->keys, 255, places * sizeof(uint64_t));
    return 1;
}

static void free_table(struct table *t) {
    free(t->keys);
    free(t->numbers);
}

/* The place of a key, or the free one where it belongs. */
static inline int64_t place_of(const struct table *t, uint64_t key) {
    int64_t at = (key * 0x9E3779B97F4A7C15u) >> 20 & (t->places - 1);
    while (t->keys[at] != key && t->keys[at] != FREE) at = (at + 1) & (t->places - 1);
    return at;
}

/* A table of twice as many places; 0 if there is no memory. */
static int grow(struct table *t) {
    struct table larger;
    int made = make_table(&larger, 2 * t->places);
    if (made) {
        larger.count = t->count;
        for (int64_t i = 0; i < t->places; i++)
            if (t->keys[i] != FREE) {
                int64_t at = place_of(&larger, t->keys[i]);
                larger.keys[at] = t->keys[i];
                larger.numbers[at] = t->numbers[i];
            }
        free_table(t);
        *t = larger;
    } else
        free_table(&larger);
    return made;
}

/* A point's coordinates in the plane of sum 0 in d + 1 dimensions. */
static inline void elevate(const float *feature, int d, const float *scale, float *elevated) {
    float sum = 0;
    for (int i = d; i > 0; i--) {
        float scaled = feature[i - 1] * scale[i - 1];
        elevated[i] = sum - i * scaled;
        sum += scaled;
    }
    elevated[0] = sum;
}

/* The packed corners of the simplex around a point, and the point's weights in them. */
static inline void simplex(const struct space *s, const float *elevated, uint64_t *keys, float *weight) {
    int d = s->d, rank[CORNERS], excess = 0;
    float corner[CORNERS], rest[CORNERS], between[CORNERS + 1] = {0};
    for (int i = 0; i <= d; i++) {
        float whole = elevated[i] / (d + 1), down = floorf(whole), up = ceilf(whole);
        float nearest = up - whole < whole - down ? up : down;
        excess += nearest;
        corner[i] = nearest * (d + 1);
        rest[i] = elevated[i] - corner[i];
        rank[i] = 0;
    }
    for (int i = 0; i < d; i++)
        for (int j = i + 1; j <= d; j++) {
            int further = rest[i] < rest[j];
            rank[i] += further;
            rank[j] += !further;
        }
    for (int i = 0; i <= d; i++) { /* where the sum is not 0, those rounded furthest go the other way */
        rank[i] += excess;
        int back = rank[i] < 0 ? d + 1 : rank[i] > d ? -d - 1 : 0;
        rank[i] += back;
        corner[i] += back;
        float share = (elevated[i] - corner[i]) / (d + 1);
        between[d - rank[i]] += share;
        between[d - rank[i] + 1] -= share;
    }
    between[0] += 1 + between[d + 1];
    for (int k = 0; k <= d; k++) { /* corner k: coordinates move by k, those of the last k ranks back */
        int64_t key = 0;
        for (int i = 0; i < d; i++)
            key += ((int64_t)corner[i] + (rank[i] <= d - k ? k : k - d - 1) - s->least[i]) * s->radix[i];
        keys[k] = key;
        weight[k] = between[k];
    }
}

static void scales(int d, float *scale) {
    for (int i = 0; i < d; i++) scale[i] = (d + 1) * sqrt(2. / 3 / ((i + 1) * (i + 2)));
}

/* The least and the largest elevated coordinates, d of each. */
void lattice_extent(const float *features, int64_t points, int64_t d, float *least, float *most) {
    float scale[FEATURES], elevated[CORNERS];
    scales(d, scale);
    for (int i = 0; i < d; i++) least[i] = FLT_MAX, most[i] = -FLT_MAX;
    for (int64_t n = 0; n < points; n++) {
        elevate(features + n * d, d, scale, elevated);
        for (int i = 0; i < d; i++) {
            least[i] = elevated[i] < least[i] ? elevated[i] : least[i];
            most[i] = elevated[i] > most[i] ? elevated[i] : most[i];
        }
    }
}

/* The packed corners of all points (points x (d + 1)) and the weights in them. */
void lattice_simplices(const struct space *s, uint64_t *keys, float *weight, int threads) {
    float scale[FEATURES];
    scales(s->d, scale);
#pragma omp parallel for num_threads(threads)
    for (int64_t n = 0; n < s->points; n++) {
        float elevated[CORNERS];
        elevate(s->features + n * s->d, s->d, scale, elevated);
        simplex(s, elevated, keys + n * (s->d + 1), weight + n * (s->d + 1));
    }
}

/* Numbers the vertices as they come: fills `vertex`, the number of each of `keys`, and moves the different
 * keys to the front of `keys`. Returns how many there are; -1 if there is no memory. */
int64_t lattice_number(uint64_t *keys, int64_t corners, int64_t d, int32_t *vertex) {
    struct table t;
    int fine = make_table(&t, 1 << 16);
    for (int64_t i = 0; fine && i < corners; i++) {
        if (i > d && keys[i] == keys[i - d - 1]) { /* the next cell is often in the same simplex */
            vertex[i] = vertex[i - d - 1];
            continue;
        }
        int64_t at = place_of(&t, keys[i]);
        if (t.keys[at] == FREE) {
            t.keys[at] = keys[i];
            t.numbers[at] = t.count++;
        }
        vertex[i] = t.numbers[at];
        if (2 * t.count > t.places) fine = grow(&t);
    }
    for (int64_t i = 0; fine && i < t.places; i++)
        if (t.keys[i] != FREE) keys[t.numbers[i]] = t.keys[i];
    int64_t count = t.count;
    free_table(&t);
    return fine ? count : -1;
}

/* Sorts the vertices along a direction into lines of neighbours, one line behind the other; the first of a
 * line is stored as ~v. `next` and `led` are room for a number and a byte a vertex. */
static void lines_along(const struct table *t, const uint64_t *keys, int64_t step, int32_t *line,
                        int32_t *next, uint8_t *led) {
    memset(led, 0, t->count);
    for (int64_t v = 0; v < t->count; v++) {
        int64_t at = place_of(t, keys[v] + step);
        next[v] = t->keys[at] == FREE ? -1 : t->numbers[at];
        if (next[v] >= 0) led[next[v]] = 1;
    }
    for (int64_t v = 0, i = 0; v < t->count; v++)
        if (!led[v]) {
            line[i++] = ~v;
            for (int32_t u = next[v]; u >= 0; u = next[u]) line[i++] = u;
        }
}

/* Fills `lines`, (d + 1) x count, with the lines along each direction. Returns 0 if there is no memory. */
int lattice_lines(const uint64_t *keys, int64_t count, int64_t d, const int64_t *radix, int32_t *lines,
                  int threads) {
    struct table t;
    int64_t places = 1 << 10, all = 0;
    while (places < 2 * count) places *= 2;
    int fine = make_table(&t, places);
    t.count = count;
    for (int64_t v = 0; fine && v < count; v++) {
        int64_t at = place_of(&t, keys[v]);
        t.keys[at] = keys[v];
        t.numbers[at] = v;
    }
    for (int i = 0; i < d; i++) all += radix[i];
    if (fine)
#pragma omp parallel for num_threads(threads) reduction(&& : fine)
        for (int axis = 0; axis <= d; axis++) {
            int64_t step = (axis < d ? (d + 1) * radix[axis] : 0) - all;
            int32_t *next = malloc(count * sizeof(int32_t));
            uint8_t *led = malloc(count);
            fine = fine && next && led;
            if (next && led) lines_along(&t, keys, step, lines + axis * count, next, led);
            free(next);
            free(led);
        }
    free_table(&t);
    return fine;
}

/* Sorts the points by the vertices around them: fills start (vertices + 1), member and share. */
void lattice_members(const int32_t *vertex, const float *weight, int64_t points, int64_t d,
                     int64_t vertices, int32_t *start, int32_t *member, float *share) {
    memset(start, 0, (vertices + 1) * sizeof(int32_t));
    for (int64_t i = 0; i < points * (d + 1); i++) start[vertex[i] + 1]++;
    for (int64_t v = 0; v < vertices; v++) start[v + 1] += start[v];
    for (int64_t n = 0, i = 0; n < points; n++)
        for (int k = 0; k <= d; k++, i++) {
            int32_t at = start[vertex[i]]++;
            member[at] = n;
            share[at] = weight[i];
        }
    memmove(start + 1, start, vertices * sizeof(int32_t)); /* each had moved on to the next one's */
    start[0] = 0;
}
