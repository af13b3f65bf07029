/* SPDX-License-Identifier: Apache-2.0
 *
 * From a gen_arch and its config to a graph. The config of a file is as hostile as its tensors: it
 * passes the ranges of its option table before a network is built from it.
 */
#include "libgen/model/network.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libgen/graph/op.h"

#define MAX_CONFIG ((uint64_t)1 << 20)
#define ROOM 850 /* characters of a list in an error sentence */

/* ---- the graph ------------------------------------------------------------------------------ */

static int port_index(const gen_port *port, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(port[i].name, name) == 0)
            return i;
    return -1;
}

static gen_status set_inputs(gen_network *n, const gen_arch *arch, const void *config,
                             const gen_port *given, int n_given)
{
    bool is_given[GEN_MAX_PORTS] = { false };
    char names[256] = "";
    n->n_in = GEN_MAX_PORTS;
    GEN_TRY(arch->inputs(config, n->in, &n->n_in));
    for (int i = 0; i < n->n_in; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 n->in[i].name);
    for (int i = 0; i < n_given; i++) {
        int k = port_index(n->in, n->n_in, given[i].name);
        if (k < 0)
            return gen_fail(GEN_EINVAL, "%s has no input '%s'; it has %s", arch->name,
                            given[i].name, names);
        if (is_given[k])
            return gen_fail(GEN_EINVAL, "input '%s' is given twice", given[i].name);
        is_given[k] = true;
        n->in[k].shape = given[i].shape;
    }
    if (n_given && arch->adapt)
        arch->adapt(config, n->in, is_given, n->n_in);
    return GEN_OK;
}

gen_status gen_network_build(gen_network *out, const gen_arch *arch, const void *config,
                             const gen_port *given, int n_given)
{
    memset(out, 0, sizeof *out);
    GEN_TRY(set_inputs(out, arch, config, given, n_given));
    GEN_TRY(gen_graph_create(&out->g));
    out->net.g = out->g;
    for (int i = 0; i < out->n_in; i++)
        out->in[i].node = gen_input(out->g, out->in[i].name, GEN_F32, out->in[i].shape);
    out->n_out = GEN_MAX_PORTS;
    arch->build(&out->net, config, out->in, out->n_in, out->out, &out->n_out);
    return gen_graph_status(out->g);
}

void gen_network_free(gen_network *n)
{
    gen_net_free(&n->net);
    gen_graph_free(&n->g);
    memset(n, 0, sizeof *n);
}

gen_shape gen_network_param(const gen_network *n, int i, const char **name, bool *trained)
{
    const gen_node *node = gen_graph_param(n->g, i);
    *name = gen_node_name(node);
    if (trained)
        *trained = ((const gen_param_attr *)node->attr)->trained != 0;
    return gen_node_shape(node);
}

/* ---- config --------------------------------------------------------------------------------- */

gen_status gen_config_read(const gen_arch *arch, void *config, const gen_json *json)
{
    gen_options_defaults(arch->config, config);
    if (!json)
        return GEN_OK;
    gen_status status = gen_options_from_json(arch->config, config, json, NULL, NULL);
    if (status != GEN_OK)
        return gen_fail_in(status == GEN_ENOMEM ? status : GEN_EMODEL, "config of %s", arch->name);
    return GEN_OK;
}

gen_status gen_config_check(const gen_arch *arch, const void *config)
{
    gen_status status;
    gen_json_writer w = { 0 };
    char *text = NULL;
    gen_json *json = NULL;
    void *copy = NULL;
    GEN_TRY(gen_alloc(&copy, 1, arch->config_size, "config"));
    gen_json_put_options(&w, NULL, arch->config, config);
    GEN_GOTO(gen_json_finish(&w, &text));
    GEN_GOTO(gen_json_parse(&json, text, strlen(text), MAX_CONFIG));
    GEN_GOTO(gen_config_read(arch, copy, json));
done:
    gen_json_free(&json);
    gen_free(text);
    gen_free(copy);
    return status;
}

gen_status gen_metadata_read(const char *metadata, gen_json **json, const char **arch)
{
    *arch = NULL;
    GEN_TRY(gen_json_parse(json, metadata, strlen(metadata), UINT64_MAX));
    const gen_json *v = gen_json_get(*json, "libgen.arch");
    return v ? gen_json_string(v, NULL, arch) : GEN_OK;
}

/* ---- text ----------------------------------------------------------------------------------- */

static gen_status add(gen_text *t, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        return gen_fail(GEN_EBUG, "text cannot be formatted");
    GEN_TRY(GEN_GROW(&t->text, &t->capacity, t->size + (uint64_t)n + 1));
    vsnprintf(t->text + t->size, (size_t)n + 1, format, ap);
    t->size += (uint64_t)n;
    return GEN_OK;
}

gen_status gen_text_add(gen_text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    gen_status status = add(t, format, ap);
    va_end(ap);
    return status;
}

gen_status gen_text_list(gen_text *t, const char *format, ...)
{
    t->pieces++;
    if (t->size > ROOM - 150)
        return GEN_OK;
    if (t->size)
        GEN_TRY(gen_text_add(t, "; "));
    va_list ap;
    va_start(ap, format);
    gen_status status = add(t, format, ap);
    va_end(ap);
    t->shown++;
    return status;
}

gen_status gen_text_fail(const gen_text *t, const char *path, const char *what)
{
    const char *text = t->text ? t->text : "";
    if (t->pieces > t->shown)
        return gen_fail(GEN_EMODEL, "'%s': %s: %.*s; and %d more", path, what, ROOM, text,
                        t->pieces - t->shown);
    return gen_fail(GEN_EMODEL, "'%s': %s: %s", path, what, text);
}
