/* Deconvolutions that mix no channels, as interpolation does. */

#include "lanes.h"

/* Floats of a row of y, with what is cut off at its ends. */
static int64_t row_span(int64_t width, int64_t kernel_w, int64_t stride_w) {
    return round_up(stride_w * (width - 1) + kernel_w, LANES);
}

/* Floats of scratch that upsample needs: a row for each thread. */
int64_t upsample_scratch(int64_t width, int64_t kernel_w, int64_t stride_w, int threads) {
    return threads * row_span(width, kernel_w, stride_w);
}

/* y (channels, out_height, out_width) from x (channels, height, width) with one kernel (kernel_h,
 * kernel_w) a channel: cell (a, b) spreads its kernel from (a, b) * stride - pad on. */
void upsample(const float *x, int64_t channels, int64_t height, int64_t width, const float *kernels,
              int64_t kernel_h, int64_t kernel_w, int64_t stride_h, int64_t stride_w, int64_t pad_h,
              int64_t pad_w, const float *bias, float *y, int64_t out_height, int64_t out_width,
              float *scratch, int threads) {
    int64_t span = stride_w * (width - 1) + kernel_w, apart = (kernel_w + stride_w - 1) / stride_w;
#pragma omp parallel num_threads(threads)
    {
        float *row = scratch + omp_get_thread_num() * row_span(width, kernel_w, stride_w);
#pragma omp for collapse(2) schedule(static)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < out_height; i++) {
                for (int64_t j = 0; j < span; j++) row[j] = bias ? bias[c] : 0;
                for (int64_t r = (i + pad_h) % stride_h; r < kernel_h; r += stride_h) {
                    int64_t a = (i + pad_h - r) / stride_h;
                    if (i + pad_h < r || a >= height) continue;
                    const float *from = x + (c * height + a) * width;
                    const float *kernel = kernels + (c * kernel_h + r) * kernel_w;
                    /* cells whose kernels do not overlap first: a load that meets a store under way waits */
                    for (int64_t begin = 0; begin < apart; begin++)
                        for (int64_t b = begin; b < width; b += apart) {
                            float *to = row + b * stride_w;
                            int64_t q = 0;
                            for (; q + LANES <= kernel_w; q += LANES)
                                store(to + q, load(to + q) + from[b] * load(kernel + q));
                            for (; q < kernel_w; q++) to[q] += from[b] * kernel[q];
                        }
                }
                memcpy(y + (c * out_height + i) * out_width, row + pad_w, out_width * sizeof(float));
            }
    }
}
