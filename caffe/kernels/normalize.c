/* Local response normalization across channels, and sums of two maps: as fast as memory. */

#include "lanes.h"
#include <math.h>

#define WIDE 64 /* cells side by side: their channels stay in the first cache */

/* y = x * (k + alpha * the sum of squares over `size` channels) ** -3/4; x and y (pictures, channels, plane). */
void normalize_channels(const float *x, int64_t pictures, int64_t channels, int64_t plane, int64_t size,
                        float alpha, float k, float *y, int threads) {
    int64_t blocks = (plane + WIDE - 1) / WIDE, radius = size / 2;
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t n = 0; n < pictures; n++)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t wide = least(WIDE, plane - b * WIDE), at = n * channels * plane + b * WIDE;
            float sum[WIDE];
            for (int64_t c = 0; c < channels; c++) {
                int64_t first = c < radius ? 0 : c - radius, last = least(channels, c + radius + 1);
                memset(sum, 0, sizeof(sum));
                for (int64_t other = first; other < last; other++) {
                    const float *from = x + at + other * plane;
                    for (int64_t j = 0; j < wide; j++) sum[j] += from[j] * from[j];
                }
                const float *own = x + at + c * plane;
                float *to = y + at + c * plane;
                for (int64_t j = 0; j < wide; j++) {
                    float root = sqrtf(k + alpha * sum[j]);
                    to[j] = own[j] / (root * sqrtf(root));
                }
            }
        }
}

/* y = a + factor * b, and a ReLU of the slope unless it is 1. */
void add_maps(const float *a, const float *b, float factor, float slope, int64_t count, float *y, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t block = 0; block < count; block += 4096) {
        int64_t end = least(count, block + 4096), i = block;
        vec low = slope - (vec){0};
        for (; i + LANES <= end; i += LANES) {
            vec v = load(a + i) + factor * load(b + i);
            store(y + i, choose(v > 0, v, v * low));
        }
        for (; i < end; i++) {
            float v = a[i] + factor * b[i];
            y[i] = v > 0 ? v : v * slope;
        }
    }
}
