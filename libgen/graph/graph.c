/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a graph: an arena of nodes in the order they were made (so inputs come before users),
 * the scope path, parameters by name, and the first error, which sticks.
 */
#include "libgen/graph/graph.h"

#include <stdarg.h>
#include <string.h>

gen_status gen_graph_create(gen_graph **out)
{
    return GEN_ALLOC(out, 1, "graph");
}

void gen_graph_free(gen_graph **graph)
{
    gen_graph *g = *graph;
    if (!g)
        return;
    gen_arena_free(&g->arena);
    gen_free(g->node);
    gen_free(g->param);
    gen_map_free(&g->names);
    gen_free(g);
    *graph = NULL;
}

gen_status gen_graph_status(const gen_graph *g)
{
    return g->status == GEN_OK ? GEN_OK : gen_fail(g->status, "%s", g->sentence);
}

bool gen_graph_failed(const gen_graph *g)
{
    return g->status != GEN_OK;
}

/* Keeps the present sentence as the graph's first error. */
static void poison(gen_graph *g, gen_status s)
{
    if (g->status != GEN_OK)
        return;
    g->status = s;
    snprintf(g->sentence, sizeof g->sentence, "%s", gen_last_error());
}

gen_node *gen_graph_fail(gen_graph *g, const char *op, const char *format, ...)
{
    if (g->status != GEN_OK)
        return NULL;
    char text[800];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const char *quote = *g->scope ? "'" : ""; /* the outermost scope has no name */
    poison(g, gen_fail(GEN_EINVAL, "%s%s%s%s%s: %s", op, *quote ? " " : "", quote, g->scope, quote,
                       text));
    return NULL;
}

gen_node *gen_graph_fail_as(gen_graph *g, gen_status s)
{
    poison(g, s);
    return NULL;
}

int gen_graph_count(const gen_graph *g)
{
    return g->n_nodes;
}

gen_node *gen_graph_node(const gen_graph *g, int id)
{
    return g->node[id];
}

gen_arena *gen_graph_arena(gen_graph *g)
{
    return &g->arena;
}

gen_shape gen_node_shape(const gen_node *n)
{
    return n ? n->shape[0] : (gen_shape){ 0 };
}

gen_dtype gen_node_dtype(const gen_node *n)
{
    return n ? n->dtype[0] : GEN_F32;
}

const char *gen_node_name(const gen_node *n)
{
    return n ? n->name : "";
}

/* ---- scopes -------------------------------------------------------------------------------- */

gen_scope gen_scope_push(gen_graph *g, const char *format, ...)
{
    gen_scope old = { strlen(g->scope) };
    size_t at = old.length;
    if (at && at + 1 < sizeof g->scope)
        g->scope[at++] = '/';
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(g->scope + at, sizeof g->scope - at, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof g->scope - at)
        gen_graph_fail(g, "scope", "path is longer than %zu bytes", sizeof g->scope - 1);
    g->scope_node = NULL;
    return old;
}

void gen_scope_pop(gen_graph *g, gen_scope s)
{
    if (s.length < sizeof g->scope)
        g->scope[s.length] = 0;
    g->scope_node = NULL;
}

/* The scope path in the arena: one copy for all the nodes made in it. */
static const char *scope_name(gen_graph *g)
{
    if (!g->scope_node)
        g->scope_node = gen_arena_printf(&g->arena, "%s", g->scope);
    return g->scope_node;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool inputs_fit(gen_graph *g, const gen_op *op, gen_node *const in[], int n_in)
{
    if (n_in < op->min_in || (op->max_in >= 0 && n_in > op->max_in)) {
        gen_graph_fail(g, op->name, "found %d inputs, expected %d to %d", n_in, op->min_in,
                       op->max_in);
        return false;
    }
    for (int i = 0; i < n_in; i++)
        if (!in[i]) {
            gen_graph_fail(g, op->name, "input %d is missing", i);
            return false;
        }
    return true;
}

gen_node *gen_node_add(gen_graph *g, const gen_op *op, const void *attr, gen_node *const in[],
                       int n_in)
{
    if (g->status != GEN_OK || !inputs_fit(g, op, in, n_in))
        return NULL;
    gen_arena *a = &g->arena;
    gen_node *n = gen_arena_alloc(a, sizeof *n);
    gen_node **inputs = gen_arena_alloc(a, sizeof *inputs * (size_t)(n_in + 1));
    gen_shape *shape = gen_arena_alloc(a, sizeof *shape * (size_t)op->n_out);
    gen_dtype *dtype = gen_arena_alloc(a, sizeof *dtype * (size_t)op->n_out);
    void *copy = op->attr_size ? gen_arena_alloc(a, op->attr_size) : NULL;
    const char *name = scope_name(g);
    if (!n || !inputs || !shape || !dtype || !name || (op->attr_size && !copy) ||
        GEN_GROW(&g->node, &g->node_capacity, g->n_nodes + 1) != GEN_OK) {
        poison(g, GEN_ENOMEM);
        return NULL;
    }
    if (copy && attr)
        memcpy(copy, attr, op->attr_size);
    if (n_in)
        memcpy(inputs, in, sizeof *inputs * (size_t)n_in);
    *n = (gen_node){ .op = op, .attr = copy, .name = name, .n_in = n_in, .n_out = op->n_out,
                     .in = inputs, .shape = shape, .dtype = dtype,
                     .is_gradient = g->building_gradient };
    if (op->infer) {
        gen_status s = op->infer(n, shape, dtype);
        if (s != GEN_OK) {
            poison(g, gen_fail_in(s, "%s '%s'", op->name, name));
            return NULL;
        }
        for (int i = 0; i < op->n_out; i++)
            if (gen_shape_count(shape[i]) < 0) {
                char text[GEN_SHAPE_TEXT];
                return gen_graph_fail(g, op->name, "output %d would have shape %s", i,
                                      gen_shape_text(shape[i], text));
            }
    }
    n->id = g->n_nodes;
    g->node[g->n_nodes++] = n;
    return n;
}

/* ---- dumps ----------------------------------------------------------------------------------- */

const char *gen_node_text(const gen_node *n, char *buf, size_t size)
{
    char shape[GEN_SHAPE_TEXT], attrs[512] = "";
    if (n->op->attrs)
        gen_options_text(n->op->attrs, n->attr, attrs, sizeof attrs);
    size_t at = 0;
#define PUT(...)                                                                                   \
    do {                                                                                           \
        int put_ = snprintf(buf + at, size - at, __VA_ARGS__);                                     \
        at = put_ < 0 || (size_t)put_ >= size - at ? size - 1 : at + (size_t)put_;                 \
    } while (0)
    PUT("%s", n->op->name);
    for (int i = 0; i < n->n_in; i++) {
        if (i == 4 && n->n_in > 5) {
            PUT(" ... (%d inputs)", n->n_in);
            break;
        }
        PUT(" %%%d%s", n->in[i]->id, gen_shape_text(n->in[i]->shape[0], shape));
    }
    PUT("%s ->", attrs);
    for (int i = 0; i < n->n_out; i++)
        PUT(" %s%s", gen_dtype_name(n->dtype[i]), gen_shape_text(n->shape[i], shape));
    if (n->name[0])
        PUT("  # %s", n->name);
#undef PUT
    return buf;
}

gen_status gen_graph_dump(const gen_graph *g, FILE *out)
{
    char text[1024];
    for (int i = 0; i < g->n_nodes; i++)
        fprintf(out, "%%%d = %s\n", i, gen_node_text(g->node[i], text, sizeof text));
    return ferror(out) ? gen_fail(GEN_EIO, "graph dump: writing failed") : GEN_OK;
}

gen_cost gen_node_cost(const gen_node *n)
{
    gen_cost c = { 0 };
    if (n->op->cost)
        c = n->op->cost(n);
    else if (!(n->op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW)))
        c.flops = (double)gen_shape_count(n->shape[0]);
    if (c.bytes == 0 && !(n->op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW))) {
        for (int i = 0; i < n->n_in; i++)
            c.bytes += (double)gen_shape_count(n->in[i]->shape[0]) *
                       (double)gen_dtype_size(n->in[i]->dtype[0]);
        for (int i = 0; i < n->n_out; i++)
            c.bytes += (double)gen_shape_count(n->shape[i]) * (double)gen_dtype_size(n->dtype[i]);
    }
    return c;
}
