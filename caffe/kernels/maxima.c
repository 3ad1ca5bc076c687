/* MAX pooling of a TRAIN net without padding, as Caffe has it: it starts from -FLT_MAX and asks for more, so that NaN
 * and minus infinity never win. */

#include "lanes.h"
#include <float.h>

enum { NONE = 255 }; /* the cell of a window in which nothing won */

typedef uint8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

/* `count` windows of 2x2, two apart, with the cells that won: the first of equals. */
static void pairs_and_cells(const float *above, const float *below, int64_t count, float *y,
                            uint8_t *cells) {
    for (int64_t j = 0; j + LANES <= count; j += LANES) {
        vec most = (vec){0} - FLT_MAX;
        ivec won = (ivec){0} + NONE;
        for (int row = 0; row < 2; row++) {
            const float *from = (row ? below : above) + 2 * j;
            vec a = load(from), b = load(from + LANES);
            for (int odd = 0; odd < 2; odd++) {
                vec value = every_other(a, b, odd);
                ivec wins = value > most, cell = (ivec){0} + (2 * row + odd);
                most = choose(wins, value, most);
                won = (wins & cell) | (~wins & won);
            }
        }
        store(y + j, most);
        *(bytes *)(cells + j) = __builtin_convertvector(won, bytes);
    }
}

/* y (planes, out_height, out_width) from x (planes, height, width), with the cell of its window that each
 * maximum comes from, row by row: of fewer than 255 cells. Every window starts inside of x. */
void maxima_and_cells(const float *x, int64_t planes, int64_t height, int64_t width, int64_t kernel_h,
                      int64_t kernel_w, int64_t stride_h, int64_t stride_w, float *y, uint8_t *cells,
                      int64_t out_height, int64_t out_width, int threads) {
    int halves = kernel_h == 2 && kernel_w == 2 && stride_w == 2;
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < out_height; i++) {
            const float *from = x + (plane * height + i * stride_h) * width;
            int64_t to = (plane * out_height + i) * out_width, j = 0;
            int64_t rows = least(kernel_h, height - i * stride_h);
            if (halves && rows == 2) {
                j = width / 2 / LANES * LANES;
                pairs_and_cells(from, from + width, j, y + to, cells + to);
            }
            for (; j < out_width; j++) {
                int64_t columns = least(kernel_w, width - j * stride_w), won = NONE;
                float most = -FLT_MAX;
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = 0; c < columns; c++) {
                        float value = from[r * width + j * stride_w + c];
                        if (value > most) {
                            most = value;
                            won = r * kernel_w + c;
                        }
                    }
                y[to + j] = most;
                cells[to + j] = won;
            }
        }
}

/* dx (planes, height, width): what reaches each cell of x from the windows that it won. */
void maxima_gradient(const float *dy, const uint8_t *cells, int64_t planes, int64_t height, int64_t width,
                     int64_t kernel_w, int64_t stride_h, int64_t stride_w, float *dx, int64_t out_height,
                     int64_t out_width, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t plane = 0; plane < planes; plane++) {
        float *to = dx + plane * height * width;
        memset(to, 0, height * width * sizeof(float));
        for (int64_t i = 0; i < out_height; i++)
            for (int64_t j = 0; j < out_width; j++) {
                int64_t at = (plane * out_height + i) * out_width + j, cell = cells[at];
                if (cell != NONE)
                    to[(i * stride_h + cell / kernel_w) * width + j * stride_w + cell % kernel_w] += dy[at];
            }
    }
}
