/* SPDX-License-Identifier: Apache-2.0
 *
 * The array of all ops, from the one list in list.h. Sources (input, param, const, fill) and
 * `output` are in libgen/graph/source.c and not here: they have no kernel.
 */
#include "libgen/ops/list.h"

static const gen_op *const ops[] = {
#define X(name) &gen_op_##name,
    GEN_OP_LIST(X)
#undef X
};

const gen_op *const *gen_ops(int *n)
{
    *n = GEN_LEN(ops);
    return ops;
}
