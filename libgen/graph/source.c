/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes without inputs: inputs, parameters and states, constants; and `output`, which picks one
 * output of a node that has several.
 */
#include <string.h>

#include "libgen/graph/graph.h"

static void store_any(const gen_node *n, const double *const in[], double *const out[])
{
    (void)n, (void)in, (void)out; /* values of sources are bound by whoever evaluates */
}

static void fill_ref(const gen_node *n, const double *const in[], double *const out[])
{
    (void)in;
    int64_t count = gen_shape_count(n->shape[0]);
    double v = ((const gen_fill_attr *)n->attr)->value;
    for (int64_t i = 0; i < count; i++)
        out[0][i] = v;
}

static void const_ref(const gen_node *n, const double *const in[], double *const out[])
{
    (void)in;
    gen_convert(out[0], GEN_F64, ((const gen_const_attr *)n->attr)->values, GEN_F32,
                gen_shape_count(n->shape[0]));
}

static const gen_option fill_options[] = {
    { .type = GEN_OPT_REAL, .name = "value", .offset = offsetof(gen_fill_attr, value) },
    { .type = GEN_OPT_END },
};
static const gen_option output_options[] = {
    { .type = GEN_OPT_INT, .name = "index", .offset = offsetof(gen_output_attr, index) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_input = { .name = "input", .flags = GEN_OP_SOURCE, .n_out = 1,
                              .ref = store_any };
const gen_op gen_op_param = { .name = "param", .flags = GEN_OP_SOURCE, .n_out = 1,
                              .attr_size = sizeof(gen_param_attr), .ref = store_any };
const gen_op gen_op_fill = { .name = "fill", .flags = GEN_OP_SOURCE, .n_out = 1,
                             .attr_size = sizeof(gen_fill_attr), .attrs = fill_options,
                             .ref = fill_ref };
const gen_op gen_op_const = { .name = "const", .flags = GEN_OP_SOURCE, .n_out = 1,
                              .attr_size = sizeof(gen_const_attr), .ref = const_ref };

/* ---- output: a view of one output ---------------------------------------------------------- */

static gen_status output_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    int64_t i = ((const gen_output_attr *)n->attr)->index;
    if (i < 0 || i >= n->in[0]->n_out)
        return gen_fail(GEN_EINVAL, "index %lld of a node with %d outputs", (long long)i,
                        n->in[0]->n_out);
    shape[0] = n->in[0]->shape[i];
    dtype[0] = n->in[0]->dtype[i];
    return GEN_OK;
}

/* in[0] is bound to the picked output by whoever evaluates. */
static void output_ref(const gen_node *n, const double *const in[], double *const out[])
{
    memcpy(out[0], in[0], sizeof(double) * (size_t)gen_shape_count(n->shape[0]));
}

const gen_op gen_op_output = { .name = "output", .flags = GEN_OP_VIEW, .min_in = 1, .max_in = 1,
                               .n_out = 1, .attr_size = sizeof(gen_output_attr),
                               .attrs = output_options, .infer = output_infer,
                               .ref = output_ref };

gen_node *gen_node_output(gen_graph *g, gen_node *n, int i)
{
    if (i == 0 && n && n->n_out > 0)
        return n;
    return gen_node_add(g, &gen_op_output, &(gen_output_attr){ .index = i }, &n, 1);
}

/* ---- builders ------------------------------------------------------------------------------ */

static gen_node *source(gen_graph *g, const gen_op *op, const void *attr, gen_shape shape,
                        gen_dtype dtype)
{
    char text[GEN_SHAPE_TEXT];
    if (gen_graph_failed(g))
        return NULL;
    if (gen_shape_count(shape) < 0)
        return gen_graph_fail(g, op->name, "shape %s has no size", gen_shape_text(shape, text));
    gen_node *n = gen_node_add(g, op, attr, NULL, 0);
    if (n) {
        n->shape[0] = shape;
        n->dtype[0] = dtype;
    }
    return n;
}

static bool remember(gen_graph *g, const char *kind, const char *name, gen_node *n)
{
    char key[768];
    snprintf(key, sizeof key, "%s:%s", kind, name);
    n->name = gen_arena_printf(&g->arena, "%s", name);
    if (!n->name || gen_map_set(&g->names, key, n) != GEN_OK) {
        gen_graph_fail_as(g, GEN_ENOMEM);
        return false;
    }
    return true;
}

static gen_node *recall(gen_graph *g, const char *kind, const char *name)
{
    char key[768];
    snprintf(key, sizeof key, "%s:%s", kind, name);
    return gen_map_get(&g->names, key);
}

gen_node *gen_input(gen_graph *g, const char *name, gen_dtype dtype, gen_shape shape)
{
    if (recall(g, "i", name))
        return gen_graph_fail(g, "input", "there is an input '%s' already", name);
    gen_node *n = source(g, &gen_op_input, NULL, shape, dtype);
    return n && remember(g, "i", name, n) ? n : NULL;
}

static gen_node *named(gen_graph *g, const char *name, gen_shape shape, gen_param_attr attr)
{
    char path[600], found[GEN_SHAPE_TEXT], asked[GEN_SHAPE_TEXT];
    snprintf(path, sizeof path, "%s%s%s", g->scope, g->scope[0] ? "/" : "", name);
    gen_node *n = recall(g, "p", path);
    if (n) {
        if (!gen_shape_equal(n->shape[0], shape))
            return gen_graph_fail(g, "param", "'%s' has shape %s, asked for again as %s", path,
                                  gen_shape_text(n->shape[0], found), gen_shape_text(shape, asked));
        return n;
    }
    n = source(g, &gen_op_param, &attr, shape, GEN_F32);
    if (!n || !remember(g, "p", path, n))
        return NULL;
    if (GEN_GROW(&g->param, &g->param_capacity, g->n_params + 1) != GEN_OK)
        return gen_graph_fail_as(g, GEN_ENOMEM);
    g->param[g->n_params++] = n;
    return n;
}

gen_node *gen_param(gen_graph *g, const char *name, gen_shape shape, gen_init init)
{
    return named(g, name, shape, (gen_param_attr){ .init = init, .trained = 1 });
}

gen_node *gen_state(gen_graph *g, const char *name, gen_shape shape, gen_init init)
{
    return named(g, name, shape, (gen_param_attr){ .init = init });
}

int gen_graph_params(const gen_graph *g)
{
    return g->n_params;
}

gen_node *gen_graph_param(const gen_graph *g, int i)
{
    return i >= 0 && i < g->n_params ? g->param[i] : NULL;
}

gen_node *gen_fill(gen_graph *g, gen_shape shape, double value)
{
    return source(g, &gen_op_fill, &(gen_fill_attr){ .value = value }, shape, GEN_F32);
}

gen_node *gen_const(gen_graph *g, gen_shape shape, const float *values)
{
    int64_t count = gen_shape_count(shape);
    if (gen_graph_failed(g) || count < 0)
        return source(g, &gen_op_const, NULL, shape, GEN_F32);
    float *copy = gen_arena_alloc(&g->arena, sizeof *copy * (size_t)count);
    if (!copy)
        return gen_graph_fail_as(g, GEN_ENOMEM);
    memcpy(copy, values, sizeof *copy * (size_t)count);
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof *copy * (size_t)count; i++)
        h = (h ^ ((const unsigned char *)copy)[i]) * 0x100000001b3u;
    return source(g, &gen_op_const, &(gen_const_attr){ .values = copy, .hash = h }, shape,
                  GEN_F32);
}
