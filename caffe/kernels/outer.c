/* The gradient of weights that few windows share: long rows, short sums. */

#include "product.h"

/* Floats of scratch that add_outer needs. */
int64_t outer_scratch(int64_t rows, int64_t columns, int64_t depth) {
    return (round_up(rows, ROWS) + round_up(columns, COLUMNS)) * depth;
}

/* Rows of `from` (rows, depth) side by side in panels of `width`, shared out among the threads. */
static void lay_out(const float *from, int64_t rows, int64_t depth, int64_t width, float *panels) {
#pragma omp for
    for (int64_t first = 0; first < rows; first += width)
        for (int64_t d = 0; d < depth; d++)
            for (int64_t i = 0; i < width; i++)
                panels[(first * depth) + d * width + i] = first + i < rows ? from[(first + i) * depth + d] : 0;
}

/* m (rows, columns) += a (rows, depth) times the transpose of b (columns, depth), all row by row;
 * `scratch` is for both, laid out in panels. */
void add_outer(const float *a, const float *b, int64_t rows, int64_t columns, int64_t depth, float *m,
               float *scratch, int threads) {
    float *u = scratch, *v = scratch + round_up(rows, ROWS) * depth;
    int64_t v_panels = round_up(columns, COLUMNS) / COLUMNS;
#pragma omp parallel num_threads(threads)
    {
        float edge[ROWS * COLUMNS]; /* a block that reaches over an end */
        lay_out(a, rows, depth, ROWS, u);
        lay_out(b, columns, depth, COLUMNS, v);
#pragma omp for schedule(dynamic, 4)
        for (int64_t panel = 0; panel < v_panels; panel++)
            for (int64_t r = 0; r < rows; r += ROWS) {
                const float *left = u + r * depth, *right = v + panel * COLUMNS * depth;
                float *to = m + r * columns + panel * COLUMNS;
                int64_t high = least(ROWS, rows - r), wide = least(COLUMNS, columns - panel * COLUMNS);
                if (high == ROWS && wide == COLUMNS) {
                    product(left, right, depth, 1, to, columns, COLUMNS);
                    continue;
                }
                product(left, right, depth, 0, edge, COLUMNS, COLUMNS);
                for (int64_t i = 0; i < high; i++)
                    for (int64_t j = 0; j < wide; j++) to[i * columns + j] += edge[i * COLUMNS + j];
            }
    }
}
