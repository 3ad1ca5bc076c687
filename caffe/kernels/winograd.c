/* 3x3 convolutions of stride 1 by Winograd's minimal filtering F(4x4, 3x3): 36 multiplications for 16
 * outputs instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
 *
 * Maps are planes of floats, (channels, height, width), as Caffe's blobs are. Only a window of the
 * output is computed: tiles of 4x4 outputs, each from 6x6 inputs that overlap by two. Three phases a
 * block of tile rows, each shared out among the threads:
 *
 *   inputs   V[at][c][tile] = B' x B        for the 36 positions `at` of a transformed tile
 *   products M[at][k][tile] = sum over c of U[at][k][c] V[at][c][tile]
 *   outputs  y = A' M A, plus bias, through ReLU
 *
 * Tiles lie side by side in vectors, so nothing is reordered but rows, by fours. The points of the
 * interpolation are 0, +-3/4, +-3/2 and infinity: the error is half of that with the textbook's
 * 0, +-1, +-2 (about 1e-6 of the result's norm, where a direct sum has 2e-7).
 */

#include "product.h"
#include "winograd.h"

/* out = A' m, along one side of a tile. */
static inline void transform_output(const vec m[6], vec out[4]) {
    vec sum_p = m[1] + m[2], difference_p = m[1] - m[2];
    vec sum_q = m[3] + m[4], difference_q = m[3] - m[4];
    out[0] = m[0] + sum_p + sum_q;
    out[1] = P * difference_p + Q * difference_q;
    out[2] = PP * sum_p + QQ * sum_q;
    out[3] = (P * PP) * difference_p + (Q * QQ) * difference_q + m[5];
}

typedef double wide __attribute__((vector_size(8 * ROWS), aligned(8)));

/* out = G w, along one side of a kernel, in double: it costs little, and every tile shares its error. */
static inline void transform_weight(wide w0, wide w1, wide w2, wide out[6]) {
    const double p = P, q = Q, pp = p * p, qq = q * q;
    const double at_p = 1 / (2 * pp * (pp - qq)), at_q = 1 / (2 * qq * (qq - pp));
    wide even_p = w0 + pp * w2, odd_p = p * w1, even_q = w0 + qq * w2, odd_q = q * w1;
    out[0] = w0 / (pp * qq);
    out[1] = at_p * (even_p + odd_p);
    out[2] = at_p * (even_p - odd_p);
    out[3] = at_q * (even_q + odd_q);
    out[4] = at_q * (even_q - odd_q);
    out[5] = w2;
}

/* Floats that transformed weights take. */
int64_t winograd_weights_size(int64_t outs, int64_t ins) { return 36 * round_up(outs, ROWS) * ins; }


/* Where in U, of one position, the DEPTH channels from c on of a panel of outputs begin. */
static inline int64_t u_panel(int64_t panels, int64_t ins, int64_t c, int64_t panel) {
    return (c * panels + panel * least(DEPTH, ins - c)) * ROWS;
}

/* Weights (outs, ins, 3, 3), found at w + k * step_out + c * step_in, into U as the products read it:
 * [36][ins / DEPTH][outs / ROWS][DEPTH][ROWS]. `flip`: turned by 180 degrees, for the gradient of the input. */
void winograd_weights(const float *w, int64_t step_out, int64_t step_in, int64_t outs, int64_t ins,
                      int flip, float *u, int threads) {
    int64_t panels = round_up(outs, ROWS) / ROWS;
    /* A run of channels is transformed aside: positions of U lie far apart, often in one cache set. */
    enum { RUN = 16 };
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t panel = 0; panel < panels; panel++)
        for (int64_t first = 0; first < ins; first += RUN) {
            int64_t run = least(RUN, ins - first);
            float aside[36][RUN][ROWS];
            for (int64_t c = 0; c < run; c++) {
                wide kernel[9] = {0}, part[3][6], whole[6];
                for (int64_t row = 0; row < least(ROWS, outs - panel * ROWS); row++) {
                    const float *from = w + (panel * ROWS + row) * step_out + (first + c) * step_in;
                    for (int i = 0; i < 9; i++) kernel[flip ? 8 - i : i][row] = from[i];
                }
                for (int j = 0; j < 3; j++)
                    transform_weight(kernel[j], kernel[3 + j], kernel[6 + j], part[j]);
                for (int i = 0; i < 6; i++) {
                    transform_weight(part[0][i], part[1][i], part[2][i], whole);
                    for (int j = 0; j < 6; j++)
                        for (int row = 0; row < ROWS; row++)
                            aside[6 * i + j][c][row] = (float)whole[j][row];
                }
            }
            float *to = u + u_panel(panels, ins, first / DEPTH * DEPTH, panel) + first % DEPTH * ROWS;
            for (int at = 0; at < 36; at++)
                memcpy(to + at * panels * ROWS * ins, aside[at], run * ROWS * sizeof(float));
        }
}

/* One output channel's tiles of one tile row, into at most `height` x `width` cells at y. */
static void output_row(const float *m, int64_t step, int64_t tiles, float *y, int64_t stride,
                       int64_t height, int64_t width, float bias, int relu, float slope) {
    for (int64_t t = 0; t < tiles; t += LANES) {
        vec half[6][4], out[4];
        for (int j = 0; j < 6; j++) {
            vec in[6];
            for (int i = 0; i < 6; i++) in[i] = load(m + (6 * i + j) * step + t);
            transform_output(in, half[j]);
        }
        for (int i = 0; i < 4 && i < height; i++) {
            vec in[6];
            for (int j = 0; j < 6; j++) in[j] = half[j][i];
            transform_output(in, out);
            for (int j = 0; j < 4; j++) {
                out[j] += bias;
                if (relu) out[j] = choose(out[j] > 0, out[j], out[j] * slope); /* NaN stays NaN */
            }
            vec low02 = in_turn(out[0], out[2], 0), low13 = in_turn(out[1], out[3], 0);
            vec high02 = in_turn(out[0], out[2], 1), high13 = in_turn(out[1], out[3], 1);
            vec parts[4] = {in_turn(low02, low13, 0), in_turn(low02, low13, 1),
                            in_turn(high02, high13, 0), in_turn(high02, high13, 1)};
            float *row = y + i * stride + 4 * t;
            int64_t left = width - 4 * t;
            if (left >= 4 * LANES)
                for (int part = 0; part < 4; part++) store(row + part * LANES, parts[part]);
            else
                memcpy(row, parts, left * sizeof(float));
        }
    }
}

/* Where the phases keep their numbers, for blocks of `block` tile rows of `tiles` tiles. */
struct scratch {
    int64_t stride;   /* floats for the tiles of a block, one position, one channel */
    int64_t rows;     /* floats for six rows of input */
    int64_t m_step;   /* floats from one position of M to the next */
    int64_t v, m, own; /* sizes of V, of M, and of what each thread has for itself */
};

static struct scratch layout(int64_t ins, int64_t outs, int64_t tiles, int64_t block) {
    struct scratch s;
    s.stride = round_up(block * tiles + LANES, COLUMNS);
    s.rows = row_room(tiles);
    s.v = 36 * (ins * s.stride + 48);
    /* The outputs phase reads all 36 positions at a time: an odd number of cache lines apart they do
     * not fall into the same sets. */
    s.m_step = round_up(round_up(outs, ROWS) * s.stride, 32) + 16;
    s.m = 36 * s.m_step;
    s.own = 2 * s.rows + 36 * s.stride;
    return s;
}

/* What a convolution is given: the window [top, bottom) x [left, right) of y (outs, out_height,
 * out_width) is computed from x (ins, height, width) padded by pad_h and pad_w (negative: cut off), with
 * the weights of winograd_weights; bias may be NULL. With a `span` each thread works on blocks of as many
 * tiles, without on blocks of `block` tile rows together with the others. */
struct convolution {
    int64_t ins, height, width, pad_h, pad_w;
    int64_t outs, out_height, out_width;
    int64_t top, bottom, left, right, block, span;
    const float *x, *u, *bias;
    float *y, *scratch;
    int relu;
    float slope;
};

/* The same with where the phases keep their numbers. */
struct task {
    struct convolution c;
    struct scratch s;
};

/* A block of it: `count` tile rows from `first` on, of `tiles` tiles from `column` on, and its V and M. */
struct block {
    int64_t first, count, column, tiles;
    float *v, *m;
};

/* Floats from one position of V to the next; as with M an odd number of cache lines. */
static int64_t v_step(const struct task *w, const struct block *b) {
    return round_up(round_up(b->count * b->tiles, COLUMNS) * w->c.ins, 32) + 16;
}

static int64_t panels_of(const struct block *b) { return round_up(b->count * b->tiles, COLUMNS) / COLUMNS; }

/* One channel of V. rows: room for s.own floats. */
static void inputs(const struct task *w, const struct block *b, int64_t c, float *rows) {
    float *phases = rows + w->s.rows, *staged = phases + w->s.rows;
    int64_t panels = panels_of(b), step = v_step(w, b);
    for (int64_t r = 0; r < b->count; r++)
        transform_row(w->c.x + c * w->c.height * w->c.width, w->c.height, w->c.width,
                      w->c.top + 4 * (b->first + r) - w->c.pad_h, w->c.left + 4 * b->column - w->c.pad_w, b->tiles,
                      rows, phases, staged + r * b->tiles, w->s.stride, 6, transform_input);
    for (int64_t at = 0; at < 36; at++)
        for (int64_t panel = 0; panel < panels; panel++) {
            float *to = b->v + at * step + (panel * w->c.ins + c) * COLUMNS;
            const float *from = staged + at * w->s.stride + panel * COLUMNS;
            for (int part = 0; part < 3; part++) store(to + part * LANES, load(from + part * LANES));
        }
}

/* One position and one panel of tiles of M. */
static void products(const struct task *w, const struct block *b, int64_t at, int64_t v_panel) {
    int64_t panels = round_up(w->c.outs, ROWS) / ROWS;
    for (int64_t c = 0; c < w->c.ins; c += DEPTH)
        for (int64_t panel = 0; panel < panels; panel++)
            product(w->c.u + at * panels * ROWS * w->c.ins + u_panel(panels, w->c.ins, c, panel),
                    b->v + at * v_step(w, b) + (v_panel * w->c.ins + c) * COLUMNS, least(DEPTH, w->c.ins - c),
                    c > 0, b->m + at * w->s.m_step + panel * ROWS * w->s.stride + v_panel * COLUMNS,
                    w->s.stride, b->count * b->tiles - v_panel * COLUMNS);
}

/* One channel of y. */
static void outputs(const struct task *w, const struct block *b, int64_t k) {
    int64_t left = w->c.left + 4 * b->column;
    for (int64_t r = 0; r < b->count; r++) {
        int64_t row = w->c.top + 4 * (b->first + r);
        output_row(b->m + k * w->s.stride + r * b->tiles, w->s.m_step, b->tiles,
                   w->c.y + (k * w->c.out_height + row) * w->c.out_width + left, w->c.out_width, w->c.bottom - row,
                   least(w->c.right - left, 4 * b->tiles), w->c.bias ? w->c.bias[k] : 0, w->c.relu, w->c.slope);
    }
}

/* Blocks of tile rows, one after the other: the threads share out each phase of a block. */
static void together(const struct task *w, int64_t block, float *scratch, int threads) {
    int64_t tiles = (w->c.right - w->c.left + 3) / 4, tile_rows = (w->c.bottom - w->c.top + 3) / 4;
    float *v = scratch, *m = v + w->s.v, *own = m + w->s.m;
#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < tile_rows; first += block) {
        struct block b = {first, least(block, tile_rows - first), 0, tiles, v, m};
#pragma omp for schedule(dynamic, 1)
        for (int64_t c = 0; c < w->c.ins; c++) inputs(w, &b, c, own + omp_get_thread_num() * w->s.own);
#pragma omp for schedule(dynamic, 1) collapse(2)
        for (int64_t at = 0; at < 36; at++)
            for (int64_t panel = 0; panel < round_up(b.count * tiles, COLUMNS) / COLUMNS; panel++)
                products(w, &b, at, panel);
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < w->c.outs; k++) outputs(w, &b, k);
    }
}

/* Blocks of `span` tiles of one row, each by one thread from beginning to end: V and M of few channels
 * never leave its second cache. */
static void apart(const struct task *w, int64_t span, float *scratch, int threads) {
    int64_t tiles = (w->c.right - w->c.left + 3) / 4, tile_rows = (w->c.bottom - w->c.top + 3) / 4;
    int64_t blocks = (tiles + span - 1) / span;
#pragma omp parallel for collapse(2) schedule(dynamic, 1) num_threads(threads)
    for (int64_t first = 0; first < tile_rows; first++)
        for (int64_t i = 0; i < blocks; i++) {
            float *v = scratch + omp_get_thread_num() * (w->s.v + w->s.m + w->s.own), *m = v + w->s.v;
            struct block b = {first, 1, i * span, least(span, tiles - i * span), v, m};
            for (int64_t c = 0; c < w->c.ins; c++) inputs(w, &b, c, m + w->s.m);
            for (int64_t at = 0; at < 36; at++)
                for (int64_t panel = 0; panel < panels_of(&b); panel++) products(w, &b, at, panel);
            for (int64_t k = 0; k < w->c.outs; k++) outputs(w, &b, k);
        }
}

/* Floats of scratch that winograd_convolve needs. */
int64_t winograd_scratch(int64_t ins, int64_t outs, int64_t tiles, int64_t block, int64_t span,
                         int threads) {
    struct scratch s = span ? layout(ins, outs, span, 1) : layout(ins, outs, tiles, block);
    return span ? threads * (s.v + s.m + s.own) : s.v + s.m + threads * s.own;
}

/* Compute the window of a convolution. */
void winograd_convolve(const struct convolution *given, int threads) {
    int64_t tiles = (given->right - given->left + 3) / 4;
    struct task w = {*given, given->span ? layout(given->ins, given->outs, given->span, 1)
                                         : layout(given->ins, given->outs, tiles, given->block)};
    if (given->span)
        apart(&w, given->span, given->scratch, threads);
    else
        together(&w, given->block, given->scratch, threads);
}
