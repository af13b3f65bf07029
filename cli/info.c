/* SPDX-License-Identifier: Apache-2.0
 *
 * gen info: what this program was built with and what it finds on this machine; --ops: every op,
 * whether it has a gradient, and its kernels in the order in which they are asked.
 */
#include <stddef.h>
#include <string.h>

#include <libgen/plan.h>

#include "cli/command.h"
#include "cli/models.h"
#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

struct info_settings {
    int64_t ops;
};

static const gen_option options[] = {
    { GEN_OPT_FLAG, "ops", 0, offsetof(struct info_settings, ops),
      .help = "list every op, with its gradient and kernels" },
    { GEN_OPT_END },
};

static const struct {
    const char *name;
    bool built_in;
} features[] = {
#if GEN_WITH_WEATHER
    { "weather", true },
#else
    { "weather", false },
#endif
    { "video", false },
    { "audio", false },
    { "cuda", false },
};

static const char *isa_name(gen_isa isa)
{
    static const char *const names[] = { "baseline", "AVX2", "AVX-512", "AVX-512 with bf16" };
    return (int)isa < GEN_LEN(names) ? names[isa] : "unknown";
}

/* ---- text ----------------------------------------------------------------------------------- */

static void print_ops(const gen_backend *b)
{
    int n;
    const gen_op *const *ops = gen_ops(&n);
    printf("\n%-16s %-9s %-11s %s\n", "op", "gradient", "cuda",
           "kernels on the CPU, first asked first");
    for (int i = 0; i < n; i++) {
        if (ops[i]->flags & GEN_OP_SOURCE)
            continue;
        printf("%-16s %-9s %-11s", ops[i]->name, ops[i]->grad ? "yes" : "no", "not built");
        int found = 0;
        for (const gen_kernel *const *k = b->kernels; *k; k++)
            if ((*k)->op == ops[i] || (!(*k)->op && !(ops[i]->flags & GEN_OP_VIEW)))
                printf("%s%s", found++ ? ", " : " ", (*k)->name);
        printf("%s\n", found ? "" : " none needed");
    }
}

static void print_models(void)
{
    char path[PATH_MAX], places[1024];
    printf("bundled models  ");
    int found = 0;
    for (const char *const *name = models_names; *name; name++)
        if (models_find(*name, path))
            printf("%s %s (%s)", found++ ? "," : "", *name, path);
    if (!found)
        printf(" none in %s", models_places(places, sizeof places));
    printf("\n");
}

static void print_text(const gen_backend *b, bool with_ops)
{
    printf("gen %s\n", gen_version());
    printf("instruction set  %s\n", isa_name(b->isa));
    printf("threads          %d\n", gen_pool_threads(b->pool));
    printf("built in        ");
    for (int i = 0; i < GEN_LEN(features); i++)
        if (features[i].built_in)
            printf(" %s", features[i].name);
    printf("\nnot built in    ");
    for (int i = 0; i < GEN_LEN(features); i++)
        if (!features[i].built_in)
            printf(" %s", features[i].name);
    printf("\n");
    print_models();
    if (with_ops)
        print_ops(b);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void put_ops(gen_json_writer *w, const gen_backend *b)
{
    int n;
    const gen_op *const *ops = gen_ops(&n);
    gen_json_open(w, "ops", '[');
    for (int i = 0; i < n; i++) {
        if (ops[i]->flags & GEN_OP_SOURCE)
            continue;
        gen_json_open(w, NULL, '{');
        gen_json_put_string(w, "name", ops[i]->name);
        gen_json_put_bool(w, "gradient", ops[i]->grad != NULL);
        gen_json_open(w, "cpu", '[');
        for (const gen_kernel *const *k = b->kernels; *k; k++)
            if ((*k)->op == ops[i] || (!(*k)->op && !(ops[i]->flags & GEN_OP_VIEW)))
                gen_json_put_string(w, NULL, (*k)->name);
        gen_json_close(w, ']');
        gen_json_put_null(w, "cuda");
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

/* The path of each; null: not found. */
static void put_models(gen_json_writer *w)
{
    char path[PATH_MAX];
    gen_json_open(w, "bundled_models", '{');
    for (const char *const *name = models_names; *name; name++)
        gen_json_put_string(w, *name, models_find(*name, path) ? path : NULL);
    gen_json_close(w, '}');
}

static gen_status print_json(const gen_backend *b, bool with_ops)
{
    gen_json_writer w = { 0 };
    char *text;
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "version", gen_version());
    gen_json_put_string(&w, "instruction_set", isa_name(b->isa));
    gen_json_put_int(&w, "threads", gen_pool_threads(b->pool));
    gen_json_open(&w, "features", '{');
    for (int i = 0; i < GEN_LEN(features); i++)
        gen_json_put_bool(&w, features[i].name, features[i].built_in);
    gen_json_close(&w, '}');
    put_models(&w);
    if (with_ops)
        put_ops(&w, b);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    puts(text);
    gen_free(text);
    return GEN_OK;
}

static gen_status run_info(gen_run *r)
{
    const struct info_settings *s = r->settings;
    gen_backend *b;
    GEN_TRY(gen_backend_open(&b, r->common.device, (int)r->common.threads));
    gen_status status = GEN_OK;
    if (r->common.json)
        status = print_json(b, s->ops);
    else
        print_text(b, s->ops);
    gen_backend_close(&b);
    return status;
}

const gen_command gen_commands_info[] = {
    { .name = "info",
      .help = "Version, instruction set, threads, built-in features, bundled models.",
      .options = options,
      .settings_size = sizeof(struct info_settings),
      .takes = GEN_TAKES_JSON | GEN_TAKES_COMPUTE,
      .run = run_info,
      .examples = "gen info\ngen info --ops\ngen info --json\n" },
    { 0 },
};
