/* SPDX-License-Identifier: Apache-2.0
 *
 * Broadcasting and the odometer of strides.h.
 */
#include "libgen/ops/strides.h"

/* Size of axis i counted from the innermost (0), 1 where the shape has none. */
static int64_t from_inside(gen_shape s, int i)
{
    return i < s.rank ? s.dim[s.rank - 1 - i] : 1;
}

bool gen_shape_join(gen_shape a, gen_shape b, gen_shape *out)
{
    gen_shape s = { .rank = a.rank > b.rank ? a.rank : b.rank };
    for (int i = 0; i < s.rank; i++) {
        int64_t da = from_inside(a, i), db = from_inside(b, i);
        if (da != db && da != 1 && db != 1)
            return false;
        s.dim[s.rank - 1 - i] = da == 1 ? db : da;
    }
    *out = s;
    return true;
}

void gen_steps_dense(gen_shape s, int64_t step[GEN_MAX_RANK])
{
    int64_t n = 1;
    for (int i = s.rank; i < GEN_MAX_RANK; i++)
        step[i] = 0;
    for (int i = s.rank - 1; i >= 0; i--) {
        step[i] = n;
        n *= s.dim[i];
    }
}

bool gen_steps_under(gen_shape s, gen_shape to, int64_t step[GEN_MAX_RANK])
{
    for (int i = 0; i < GEN_MAX_RANK; i++)
        step[i] = 0;
    if (s.rank > to.rank)
        return false;
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) {
        int64_t d = from_inside(s, i), want = from_inside(to, i);
        if (d != want && d != 1)
            return false;
        step[to.rank - 1 - i] = d == 1 ? 0 : n;
        n *= d;
    }
    return true;
}

void gen_walk_next(gen_walk *w)
{
    for (int i = w->shape.rank - 1; i >= 0; i--) {
        bool carry = ++w->at[i] == w->shape.dim[i];
        for (int k = 0; k < GEN_WALK_ARRAYS; k++)
            w->offset[k] += carry ? w->step[k][i] * (1 - w->shape.dim[i]) : w->step[k][i];
        if (!carry)
            return;
        w->at[i] = 0;
    }
}

void gen_walk_join(gen_walk *w)
{
    int n = 0;
    for (int i = 0; i < w->shape.rank; i++) {
        int64_t dim = w->shape.dim[i];
        bool joins = n > 0;
        if (dim == 1)
            continue;
        for (int k = 0; k < GEN_WALK_ARRAYS && joins; k++)
            joins = w->step[k][n - 1] == w->step[k][i] * dim;
        n -= joins;
        w->shape.dim[n] = joins ? w->shape.dim[n] * dim : dim;
        for (int k = 0; k < GEN_WALK_ARRAYS; k++)
            w->step[k][n] = w->step[k][i];
        n++;
    }
    w->shape.rank = n;
}

gen_shape_attr gen_shape_to_attr(gen_shape s)
{
    gen_shape_attr a = { .rank = s.rank };
    for (int i = 0; i < s.rank && i < GEN_MAX_RANK; i++)
        a.dim[i] = s.dim[i];
    return a;
}

gen_shape gen_shape_from_attr(const gen_shape_attr *a)
{
    gen_shape s = { .rank = (int)a->rank };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = a->dim[i];
    return s;
}

int gen_steps_collapse(gen_shape x, const int64_t out_step[GEN_MAX_RANK],
                       int64_t dim[GEN_MAX_RANK], bool keep[GEN_MAX_RANK])
{
    int n = 0;
    for (int i = 0; i < x.rank; i++) {
        bool k = out_step[i] != 0;
        if (x.dim[i] == 1)
            continue;
        if (n > 0 && keep[n - 1] == k) {
            dim[n - 1] *= x.dim[i];
        } else {
            keep[n] = k;
            dim[n++] = x.dim[i];
        }
    }
    return n;
}
