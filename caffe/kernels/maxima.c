/* MAX pooling without padding, as Caffe has it: it starts from -FLT_MAX and asks for more, so that NaN
 * and minus infinity never win. */

#include "lanes.h"
#include <float.h>

static inline float larger(float most, float value) { return value > most ? value : most; }

/* Windows 2 wide and 2 apart of a row that is the larger of two: `count` of them. */
static void pairs(const float *above, const float *below, int64_t count, float *y) {
    const vec lowest = (vec){0} - FLT_MAX;
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        vec most[2];
        for (int part = 0; part < 2; part++) {
            vec a = load(above + 2 * j + part * LANES), b = load(below + 2 * j + part * LANES);
            most[part] = choose(a > lowest, a, lowest);
            most[part] = choose(b > most[part], b, most[part]);
        }
        vec even = every_other(most[0], most[1], 0), odd = every_other(most[0], most[1], 1);
        store(y + j, choose(odd > even, odd, even));
    }
    for (; j < count; j++) {
        float most = larger(larger(-FLT_MAX, above[2 * j]), above[2 * j + 1]);
        y[j] = larger(larger(most, below[2 * j]), below[2 * j + 1]);
    }
}

/* Windows [top, bottom) x [left, right) of y (planes, out_height, out_width) from x (planes, height,
 * width). Every window starts inside of x; the last ones may end outside. */
void maxima(const float *x, int64_t planes, int64_t height, int64_t width, int64_t kernel_h,
            int64_t kernel_w, int64_t stride_h, int64_t stride_w, float *y, int64_t out_height,
            int64_t out_width, int64_t top, int64_t bottom, int64_t left, int64_t right, int threads) {
    int halves = kernel_h == 2 && kernel_w == 2 && stride_w == 2;
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = top; i < bottom; i++) {
            const float *from = x + (plane * height + i * stride_h) * width;
            float *to = y + (plane * out_height + i) * out_width;
            int64_t rows = least(kernel_h, height - i * stride_h), j = left;
            if (halves) {
                int64_t whole = least(right, width / 2); /* windows that end inside */
                if (whole > left) {
                    pairs(from + 2 * left, from + (rows - 1) * width + 2 * left, whole - left, to + left);
                    j = whole;
                }
            }
            for (; j < right; j++) {
                int64_t columns = least(kernel_w, width - j * stride_w);
                float most = -FLT_MAX;
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = 0; c < columns; c++)
                        most = larger(most, from[r * width + j * stride_w + c]);
                to[j] = most;
            }
        }
}
