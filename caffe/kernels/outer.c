/* The gradient of weights that few windows share: long rows, short sums. */

#include "product.h"

/* Floats of room that add_outer needs. */
int64_t outer_room(int64_t rows, int64_t columns, int64_t depth) {
    return (round_up(rows, ROWS) + round_up(columns, COLUMNS)) * depth;
}

/* m (rows, columns) += a (rows, depth) times the transpose of b (columns, depth), all row by row; `room` is
 * for both, laid out in panels. */
void add_outer(const float *a, const float *b, int64_t rows, int64_t columns, int64_t depth, float *m,
               float *room, int threads) {
    float *u = room, *v = room + round_up(rows, ROWS) * depth;
    int64_t u_panels = round_up(rows, ROWS) / ROWS, v_panels = round_up(columns, COLUMNS) / COLUMNS;
#pragma omp parallel num_threads(threads)
    {
        float edge[ROWS * COLUMNS]; /* a block that reaches over an end */
#pragma omp for
        for (int64_t panel = 0; panel < u_panels; panel++)
            for (int64_t d = 0; d < depth; d++)
                for (int64_t row = 0; row < ROWS; row++) {
                    int64_t r = panel * ROWS + row;
                    u[(panel * depth + d) * ROWS + row] = r < rows ? a[r * depth + d] : 0;
                }
#pragma omp for
        for (int64_t panel = 0; panel < v_panels; panel++)
            for (int64_t d = 0; d < depth; d++)
                for (int64_t column = 0; column < COLUMNS; column++) {
                    int64_t c = panel * COLUMNS + column;
                    v[(panel * depth + d) * COLUMNS + column] = c < columns ? b[c * depth + d] : 0;
                }
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
