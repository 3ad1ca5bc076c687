/* Pooling in a TEST net: the maximum or the mean over windows of a plane; first along the columns of a row of
 * windows, then along that row. */

#include "lanes.h"
#include <float.h>

struct windows {
    int64_t planes, height, width, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int64_t out_height, out_width, top, bottom, left, right; /* what is computed of y */
    const float *x;
    float *y;
    int mean;
};

/* Caffe's maxima start from -FLT_MAX and ask for more: NaN and minus infinity never win. */
static inline __attribute__((always_inline)) vec joined_with(vec a, vec b, int mean) {
    if (mean) return a + b;
    return choose(b > a, b, a);
}

static inline __attribute__((always_inline)) float value_with(float a, float b, int mean) {
    return mean ? a + b : b > a ? b : a;
}

/* line[0..count): over `rows` rows of x. */
static inline __attribute__((always_inline)) void columns_of(const float *from, int64_t width, int64_t rows,
                                                             int64_t count, float *line, int mean) {
    float start = mean ? 0 : -FLT_MAX;
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        vec all = (vec){0} + start;
        for (int64_t r = 0; r < rows; r++) all = joined_with(all, load(from + r * width + j), mean);
        store(line + j, all);
    }
    for (; j < count; j++) {
        float all = start;
        for (int64_t r = 0; r < rows; r++) all = value_with(all, from[r * width + j], mean);
        line[j] = all;
    }
}

/* to[0..count): over `kernel` values of the line, `stride` apart; the line has room behind. */
static inline __attribute__((always_inline)) void along(const float *line, int64_t kernel, int64_t stride,
                                                        int64_t count, float *to, int mean) {
    float start = mean ? 0 : -FLT_MAX;
    int64_t j = 0;
    for (; j < count && stride <= 2; j += LANES) {
        vec all = (vec){0} + start;
        for (int64_t q = 0; q < kernel; q++) {
            const float *at = line + j * stride + q;
            vec met = load(at);
            if (stride == 2) met = every_other(met, load(at + LANES), 0);
            all = joined_with(all, met, mean);
        }
        if (j + LANES <= count)
            store(to + j, all);
        else
            memcpy(to + j, &all, (count - j) * sizeof(float));
    }
    for (; j < count; j++) {
        float all = start;
        for (int64_t q = 0; q < kernel; q++) all = value_with(all, line[j * stride + q], mean);
        to[j] = all;
    }
}

/* A mean counts the cells of the padded plane. */
static void divide(const struct windows *w, int64_t row, float *to) {
    int64_t start = row * w->stride_h - w->pad_h;
    int64_t high = least(start + w->kernel_h, w->height + w->pad_h) - start;
    for (int64_t j = w->left; j < w->right; j++) {
        int64_t at = j * w->stride_w - w->pad_w;
        to[j - w->left] /= high * (least(at + w->kernel_w, w->width + w->pad_w) - at);
    }
}

static inline __attribute__((always_inline)) void row_of(const struct windows *w, int64_t plane, int64_t row,
                                                         float *line, int mean) {
    int64_t begin = w->left * w->stride_w - w->pad_w, count = w->right - w->left;
    int64_t span = (count - 1) * w->stride_w + w->kernel_w, start = row * w->stride_h - w->pad_h;
    int64_t first = start < 0 ? 0 : start, last = least(start + w->kernel_h, w->height);
    int64_t in = begin < 0 ? -begin : 0, out = least(span, w->width - begin);
    if (out < in) out = in; /* a window that starts behind the plane, as Caffe's rounding allows */
    float *to = w->y + (plane * w->out_height + row) * w->out_width + w->left, empty = mean ? 0 : -FLT_MAX;
    for (int64_t j = 0; j < in; j++) line[j] = empty;
    columns_of(w->x + (plane * w->height + first) * w->width + begin + in, w->width, last - first, out - in,
               line + in, mean);
    for (int64_t j = out; j < span; j++) line[j] = empty;
    along(line, w->kernel_w, w->stride_w, count, to, mean);
    if (mean) divide(w, row, to);
}

/* Floats of a line, with room for vectors behind. */
static int64_t line_size(const struct windows *w) {
    return (w->out_width + LANES) * w->stride_w + w->kernel_w + 2 * LANES;
}

int64_t windows_scratch(const struct windows *w, int threads) { return threads * line_size(w); }

void pool_windows(const struct windows *w, float *scratch, int threads) {
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t plane = 0; plane < w->planes; plane++)
        for (int64_t row = w->top; row < w->bottom; row++) {
            float *line = scratch + omp_get_thread_num() * line_size(w);
            if (w->mean)
                row_of(w, plane, row, line, 1);
            else
                row_of(w, plane, row, line, 0);
        }
}
