/* The gradient of 3x3 weights by the transpose of winograd.c's filtering:
 *
 *   S[at][c][k] = sum over tiles of D[at][k][tile] V[at][c][tile],  D = A dy A', V = B' x B
 *   dw += G' S G
 *
 * A quarter of the multiplications, as forward. Tiles lie side by side in vectors, so that a sum is over
 * vectors first and over the lanes of one at the end.
 */

#include "product.h"
#include "winograd.h"

#define GROUP 96 /* channels of V that stay in the second cache while all of D passes by */

/* out = A y, along one side of a tile of the top's gradient. */
static inline void transform_gradient(const vec y[4], vec out[6]) {
    vec even_p = y[0] + PP * y[2], odd_p = P * (y[1] + PP * y[3]);
    vec even_q = y[0] + QQ * y[2], odd_q = Q * (y[1] + QQ * y[3]);
    out[0] = y[0];
    out[1] = even_p + odd_p;
    out[2] = even_p - odd_p;
    out[3] = even_q + odd_q;
    out[4] = even_q - odd_q;
    out[5] = y[3];
}

/* out = G' s, along one side of a kernel. */
static inline void transform_sums(const double s[6], double out[3]) {
    const double p = P, q = Q, pp = p * p, qq = q * q;
    const double at_p = 1 / (2 * pp * (pp - qq)), at_q = 1 / (2 * qq * (qq - pp));
    double sum_p = at_p * (s[1] + s[2]), difference_p = at_p * (s[1] - s[2]);
    double sum_q = at_q * (s[3] + s[4]), difference_q = at_q * (s[3] - s[4]);
    out[0] = s[0] / (pp * qq) + sum_p + sum_q;
    out[1] = p * difference_p + q * difference_q;
    out[2] = pp * sum_p + qq * sum_q + s[5];
}

/* The sums over the lanes of ROWS vectors, added to s[ROWS]. */
static inline void add_lanes(vec v[ROWS], float *s) {
    float sums[LANES];
    int count = ROWS;
    for (; count > 1; count /= 2) /* two vectors become one, in which each has half of the lanes */
        for (int i = 0; i < count / 2; i++)
            v[i] = every_other(v[2 * i], v[2 * i + 1], 0) + every_other(v[2 * i], v[2 * i + 1], 1);
    for (int lanes = LANES / ROWS; lanes > 1; lanes /= 2)
        v[0] = every_other(v[0], v[0], 0) + every_other(v[0], v[0], 1);
    store(sums, v[0]);
    for (int row = 0; row < ROWS; row++) s[row] += sums[row];
}

/* s[wide][ROWS] += the sums over `count` vectors of d[ROWS][stride] v[wide][stride]. */
static inline __attribute__((always_inline)) void inner(const float *d, const float *v, int64_t stride,
                                                        int64_t count, float *s, int64_t step, int wide) {
    vec sum[3][ROWS];
    memset(sum, 0, sizeof sum);
    for (int64_t t = 0; t < count; t++) {
        vec right[3];
        for (int j = 0; j < wide; j++) right[j] = load(v + j * stride + t * LANES);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            vec left = load(d + row * stride + t * LANES);
            for (int j = 0; j < wide; j++) sum[j][row] += left * right[j];
        }
    }
    for (int j = 0; j < wide; j++) add_lanes(sum[j], s + j * step);
}

/* Where the phases keep their numbers, for blocks of `block` tile rows of `tiles` tiles. */
struct rooms {
    int64_t stride;     /* floats for the tiles of a block, one position, one channel */
    int64_t v_step, d_step; /* floats from one position to the next */
    int64_t outs, s, own;   /* outs rounded up; sizes of S and of what each thread has for itself */
};

static struct rooms rooms_for(int64_t ins, int64_t outs, int64_t tiles, int64_t block) {
    struct rooms r;
    r.stride = round_up(block * tiles + LANES, 2 * LANES) + LANES; /* odd in lines: no set conflicts */
    r.outs = round_up(outs, ROWS);
    r.v_step = ins * r.stride;
    r.d_step = r.outs * r.stride;
    r.s = 36 * r.outs * ins;
    r.own = 2 * row_room(tiles);
    return r;
}

/* Floats of room that winograd_gradient needs. */
int64_t winograd_gradient_scratch(int64_t ins, int64_t outs, int64_t tiles, int64_t block, int threads) {
    struct rooms r = rooms_for(ins, outs, tiles, block);
    return 36 * (ins + r.outs) * r.stride + r.s + threads * r.own;
}

/* dw (outs, ins, 3, 3) += the gradient from x (ins, height, width), padded, and dy (outs, out_height,
 * out_width). With `begin` the sums start from zero, with `end` they are added to dw: the pictures of a
 * batch share them. */
void winograd_gradient(const float *x, int64_t ins, int64_t height, int64_t width, int64_t pad_h,
                       int64_t pad_w, const float *dy, int64_t outs, int64_t out_height,
                       int64_t out_width, int begin, int end, float *dw, int64_t block, float *room,
                       int threads) {
    int64_t tiles = (out_width + 3) / 4, tile_rows = (out_height + 3) / 4;
    struct rooms r = rooms_for(ins, outs, tiles, block);
    float *s = room, *v = s + r.s, *d = v + 36 * r.v_step, *own = d + 36 * r.d_step;
#pragma omp parallel num_threads(threads)
    {
        float *rows = own + omp_get_thread_num() * r.own, *phases = rows + row_room(tiles);
        if (begin) {
#pragma omp for
            for (int64_t i = 0; i < 36 * ins; i++) memset(s + i * r.outs, 0, r.outs * sizeof(float));
        }
        for (int64_t first = 0; first < tile_rows; first += block) {
            int64_t count = least(block, tile_rows - first), filled = count * tiles;
            int64_t vectors = round_up(filled, LANES) / LANES;
            int64_t rest = vectors * LANES - filled;
#pragma omp for schedule(dynamic, 1) nowait
            for (int64_t c = 0; c < ins; c++) {
                float *to = v + c * r.stride;
                for (int64_t i = 0; i < count; i++)
                    transform_row(x + c * height * width, height, width, 4 * (first + i) - pad_h, -pad_w,
                                  tiles, rows, phases, to + i * tiles, r.v_step, 6, transform_input);
                for (int at = 0; at < 36; at++)
                    memset(to + at * r.v_step + filled, 0, rest * sizeof(float));
            }
#pragma omp for schedule(dynamic, 1)
            for (int64_t k = 0; k < r.outs; k++) {
                float *to = d + k * r.stride;
                for (int64_t i = 0; i < count && k < outs; i++)
                    transform_row(dy + k * out_height * out_width, out_height, out_width, 4 * (first + i),
                                  0, tiles, rows, phases, to + i * tiles, r.d_step, 4,
                                  transform_gradient);
                int64_t from = k < outs ? filled : 0; /* channels that only fill the last block are 0 */
                for (int at = 0; at < 36; at++)
                    memset(to + at * r.d_step + from, 0, (filled + rest - from) * sizeof(float));
            }
#pragma omp for schedule(dynamic, 1) collapse(2)
            for (int64_t at = 0; at < 36; at++)
                for (int64_t group = 0; group < ins; group += GROUP)
                    for (int64_t k = 0; k < r.outs; k += ROWS)
                        for (int64_t c = group; c < least(group + GROUP, ins); c += 3) {
                            const float *left = d + at * r.d_step + k * r.stride;
                            const float *right = v + at * r.v_step + c * r.stride;
                            float *to = s + (at * ins + c) * r.outs + k;
                            int64_t wide = least(group + GROUP, ins) - c;
                            if (wide >= 3)
                                inner(left, right, r.stride, vectors, to, r.outs, 3);
                            else if (wide == 2)
                                inner(left, right, r.stride, vectors, to, r.outs, 2);
                            else
                                inner(left, right, r.stride, vectors, to, r.outs, 1);
                        }
        }
        if (end) {
#pragma omp for
            for (int64_t k = 0; k < outs; k++)
                for (int64_t c = 0; c < ins; c++) {
                    double whole[36], part[3][6], kernel[3];
                    for (int at = 0; at < 36; at++) whole[at] = s[(at * ins + c) * r.outs + k];
                    for (int j = 0; j < 6; j++) {
                        double column[6];
                        for (int i = 0; i < 6; i++) column[i] = whole[6 * i + j];
                        transform_sums(column, kernel);
                        for (int i = 0; i < 3; i++) part[i][j] = kernel[i];
                    }
                    for (int i = 0; i < 3; i++) {
                        transform_sums(part[i], kernel);
                        for (int j = 0; j < 3; j++) dw[(k * ins + c) * 9 + 3 * i + j] += (float)kernel[j];
                    }
                }
        }
    }
}
