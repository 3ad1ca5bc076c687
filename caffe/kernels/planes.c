/* Convolutions straight on Caffe's planes, of any kernel, stride, padding, dilation and group: matrix
 * products over panels of im2col's columns, each laid out where a core's second cache keeps it. */

#include "product.h"

#define CHUNK 2048 /* rows of a panel at a time: 400 KB */
#define MANY (1 << 17) /* weights that leave the second cache: then panels are taken together */

struct planes {
    int64_t pictures, groups, ins, height, width, outs, out_height, out_width; /* ins, outs: of a group */
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int64_t top, bottom; /* the rows of y that are computed */
    const float *x, *weights, *bias;
    float *y, *scratch;
    int relu;
    float slope;
};

/* A stretch of a panel's columns that lies in one row of one picture's y. */
struct stretch {
    int64_t at, picture, row, column, length;
};

/* Whether columns lie in x as they do in y: then a picture's plane counts as one row. */
static int is_flat(const struct planes *p) {
    return p->kernel_h * p->kernel_w * p->stride_h * p->stride_w == 1 && !p->pad_h && !p->pad_w;
}

static int64_t depth_of(const struct planes *p) { return p->ins * p->kernel_h * p->kernel_w; }

/* Floats of the weights as planes_convolve takes them. */
int64_t planes_weights_size(int64_t groups, int64_t outs, int64_t depth) {
    return groups * round_up(outs, ROWS) * depth;
}

/* Weights (groups * outs, depth) with ROWS outputs side by side, scaled by the output unless NULL. */
void planes_weights(const float *from, const float *scale, int64_t groups, int64_t outs, int64_t depth,
                    float *to) {
    for (int64_t g = 0; g < groups; g++)
        for (int64_t first = 0; first < outs; first += ROWS)
            for (int64_t d = 0; d < depth; d++)
                for (int64_t i = first; i < first + ROWS; i++) {
                    int64_t out = g * outs + i;
                    *to++ = i < outs ? from[out * depth + d] * (scale ? scale[out] : 1) : 0;
                }
}

/* Panels that a thread takes together. */
static int64_t together(const struct planes *p) {
    int64_t depth = depth_of(p);
    return p->outs * depth < MANY || depth > CHUNK ? 1 : 1 + CHUNK / depth;
}

/* Floats of scratch that planes_convolve needs. */
int64_t planes_scratch(const struct planes *p, int threads) {
    return threads * (together(p) * least(depth_of(p), CHUNK) * COLUMNS + LANES);
}

/* The stretches of columns first..first+count, counted over all pictures' rows; how many there are. */
static int cut(const struct planes *p, int64_t first, int64_t count, struct stretch *to) {
    int64_t rows = p->bottom - p->top, done = 0;
    int n = 0;
    while (done < count) {
        int64_t line = (first + done) / p->out_width, column = (first + done) % p->out_width;
        int64_t length = least(count - done, p->out_width - column);
        to[n++] = (struct stretch){done, line / rows, p->top + line % rows, column, length};
        done += length;
    }
    return n;
}

/* `length` values, `step` apart. Vectors may write beyond, into what is filled next; none is read from
 * beyond `end`. */
static void gather(const float *from, const float *end, int64_t step, int64_t length, float *to) {
    int64_t i = 0;
    if (step == 1)
        for (; i < length && from + i + LANES <= end; i += LANES) store(to + i, load(from + i));
    else if (step == 2)
        for (; i < length && from + 2 * i + 2 * LANES <= end; i += LANES)
            store(to + i, every_other(load(from + 2 * i), load(from + 2 * i + LANES), 0));
    for (; i < length; i++) to[i] = from[i * step];
}

/* How many steps from `start` on it takes to reach `edge`, within 0..length. */
static int64_t steps_to(int64_t edge, int64_t start, int64_t step, int64_t length) {
    if (edge <= start) return 0;
    if (edge - start >= step * length) return length;
    return step == 1 ? edge - start : (edge - start + step - 1) / step; /* a division takes as long as a copy */
}

/* Fill rows first..last of a panel's columns. */
static void lay_out(const struct planes *p, int64_t group, const struct stretch *stretches, int count,
                    int64_t first, int64_t last, float *panel) {
    int64_t plane = p->height * p->width, kernel = p->kernel_h * p->kernel_w;
    int flat = is_flat(p);
    int64_t width = flat ? plane : p->width;
    const float *end = p->x + p->pictures * p->groups * p->ins * plane;
    int64_t c = first / kernel, r = first % kernel / p->kernel_w, q = first % p->kernel_w;
    for (int64_t d = first; d < last; d++, panel += COLUMNS) {
        for (int s = 0; s < count; s++) {
            const struct stretch *of = stretches + s;
            float *to = panel + of->at;
            int64_t row = of->row * p->stride_h - p->pad_h + r * p->dilation_h;
            int64_t column = of->column * p->stride_w - p->pad_w + q * p->dilation_w;
            if (flat) column += row * p->width, row = 0;
            int inside = row >= 0 && row < p->height;
            int64_t left = inside ? steps_to(0, column, p->stride_w, of->length) : of->length;
            int64_t right = inside ? steps_to(width, column, p->stride_w, of->length) : of->length;
            for (int64_t i = 0; i < left; i++) to[i] = 0;
            if (left < right)
                gather(p->x + ((of->picture * p->groups + group) * p->ins + c) * plane + row * width +
                           column + left * p->stride_w,
                       end, p->stride_w, right - left, to + left);
            for (int64_t i = right; i < of->length; i++) to[i] = 0;
        }
        if (++q == p->kernel_w) q = 0, r++;
        if (r == p->kernel_h) r = 0, c++;
    }
}

/* Sums to y: added to what is there unless they are the first; behind the last bias and ReLU. */
static void finish(const struct planes *p, const float *sums, int64_t group, int64_t out,
                   const struct stretch *stretches, int count, int is_first, int is_last) {
    int64_t plane = p->out_height * p->out_width, high = least(ROWS, p->outs - out);
    vec slope = p->slope - (vec){0};
    for (int64_t i = 0; i < high; i++, sums += COLUMNS) {
        int64_t channel = group * p->outs + out + i;
        float bias = p->bias && is_last ? p->bias[channel] : 0;
        int relu = p->relu && is_last;
        for (int s = 0; s < count; s++) {
            const struct stretch *of = stretches + s;
            float *to = p->y + (of->picture * p->groups * p->outs + channel) * plane +
                        of->row * p->out_width + of->column;
            int64_t j = 0;
            for (; j + LANES <= of->length; j += LANES) {
                vec v = load(sums + of->at + j) + bias;
                if (!is_first) v += load(to + j);
                if (relu) v = choose(v > 0, v, v * slope);
                store(to + j, v);
            }
            for (; j < of->length; j++) {
                float v = sums[of->at + j] + bias + (is_first ? 0 : to[j]);
                to[j] = relu && !(v > 0) ? v * p->slope : v;
            }
        }
    }
}

/* Stretches that follow each other in memory, joined. */
static int join(struct stretch *of, int count) {
    int n = 0;
    for (int s = 1; s < count; s++)
        if (of[s].picture == of[n].picture)
            of[n].length += of[s].length;
        else
            of[++n] = of[s];
    return n + 1;
}

/* Outputs first..last of a group for some panels of columns. */
static void compute(const struct planes *p, int64_t group, int64_t column, int64_t columns, int64_t first,
                    int64_t last, float *panels) {
    struct stretch pieces[COLUMNS], ends[COLUMNS];
    float sums[ROWS * COLUMNS];
    int64_t depth = depth_of(p), padded = round_up(p->outs, ROWS);
    int flat = is_flat(p);
    for (int64_t d = 0; d < depth; d += CHUNK) {
        int64_t deep = least(CHUNK, depth - d);
        for (int64_t at = 0; at < columns; at += COLUMNS) {
            int count = cut(p, column + at, least(COLUMNS, columns - at), pieces);
            if (flat) count = join(pieces, count);
            lay_out(p, group, pieces, count, d, d + deep, panels + at * deep);
        }
        for (int64_t out = first; out < last; out += ROWS)
            for (int64_t at = 0; at < columns; at += COLUMNS) {
                int64_t wide = least(COLUMNS, columns - at);
                const float *weights = p->weights + (group * padded + out) * depth + d * ROWS;
                product(weights, panels + at * deep, deep, 0, sums, COLUMNS, wide);
                int count = join(ends, cut(p, column + at, wide, ends));
                finish(p, sums, group, out, ends, count, d == 0, d + deep == depth);
            }
    }
}

void planes_convolve(const struct planes *p, int threads) {
    int64_t all = p->pictures * (p->bottom - p->top) * p->out_width, span = together(p) * COLUMNS;
    int64_t spans = (all + span - 1) / span, blocks = round_up(p->outs, ROWS) / ROWS, parts = 1;
    while (threads > 1 && spans * p->groups * parts < 4 * threads && blocks >= 8 * parts) parts *= 2;
    int64_t high = (blocks + parts - 1) / parts * ROWS, room = planes_scratch(p, 1);
#pragma omp parallel for num_threads(threads) schedule(dynamic) collapse(3)
    for (int64_t group = 0; group < p->groups; group++)
        for (int64_t part = 0; part < parts; part++)
            for (int64_t s = 0; s < spans; s++)
                compute(p, group, s * span, least(span, all - s * span), part * high,
                        least((part + 1) * high, p->outs), p->scratch + omp_get_thread_num() * room);
}
