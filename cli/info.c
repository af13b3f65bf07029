/* SPDX-License-Identifier: Apache-2.0
 *
 * gen info: what this program was built with and what it finds on this machine, GPUs among it (the
 * one verb that loads libgen-cuda.so without being asked for a GPU); --ops: every op, whether it
 * has a gradient, and its kernels in the order in which they are asked.
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

enum { MOST_GPUS = 16 };

struct found {
    const gen_backend *cpu;
    const gen_kernel *const *cuda; /* kernels of libgen-cuda.so; NULL: it was not built */
    gen_gpu gpu[MOST_GPUS];
    int gpus;
    char no_gpu[600]; /* why none can be used */
};

static void look(struct found *f)
{
    f->cuda = gen_cuda_kernels_built();
    if (gen_cuda_gpus(f->gpu, MOST_GPUS, &f->gpus) != GEN_OK) {
        f->gpus = 0;
        snprintf(f->no_gpu, sizeof f->no_gpu, "%s", gen_last_error());
    }
    f->gpus = f->gpus < MOST_GPUS ? f->gpus : MOST_GPUS;
}

/* ---- features ------------------------------------------------------------------------------- */

static const char *const features[] = { "weather", "video", "audio", "cuda" };

static bool is_built(const struct found *f, const char *feature)
{
#if GEN_WITH_WEATHER
    if (strcmp(feature, "weather") == 0)
        return true;
#endif
    return strcmp(feature, "cuda") == 0 && f->cuda;
}

static const char *isa_name(gen_isa isa)
{
    static const char *const names[] = { "baseline", "AVX2", "AVX-512", "AVX-512 with bf16" };
    return (int)isa < GEN_LEN(names) ? names[isa] : "unknown";
}

/* ---- text ----------------------------------------------------------------------------------- */

/* What may be said of CUDA's kernels. */
static const char *cuda_state(const struct found *f)
{
    return !f->cuda ? "not built" : gen_cuda_ran_on() ? "yes" : "compiled, not run";
}

/* Their number. */
static int print_kernels(const gen_kernel *const *k, const gen_op *op, const char *before)
{
    int found = 0;
    for (; k && *k; k++)
        if (gen_kernel_serves(*k, op))
            printf("%s%s", found++ ? ", " : before, (*k)->name);
    return found;
}

static bool has_kernel(const gen_kernel *const *k, const gen_op *op)
{
    while (k && *k && !gen_kernel_serves(*k, op))
        k++;
    return k && *k;
}

static void print_ops(const struct found *f)
{
    int n;
    const gen_op *const *ops = gen_ops(&n);
    printf("\n%-16s %-9s %-18s %s\n", "op", "gradient", "cuda",
           "kernels on the CPU, first asked first; on a GPU");
    for (int i = 0; i < n; i++) {
        if (ops[i]->flags & GEN_OP_SOURCE)
            continue;
        bool lacks = f->cuda && !has_kernel(f->cuda, ops[i]);
        printf("%-16s %-9s %-18s", ops[i]->name, ops[i]->grad ? "yes" : "no",
               lacks ? "-" : cuda_state(f));
        if (!print_kernels(f->cpu->kernels, ops[i], " "))
            printf(" none needed");
        print_kernels(f->cuda, ops[i], "; ");
        printf("\n");
    }
}

static void print_gpus(const struct found *f)
{
    if (!f->gpus)
        printf("GPU              none: %s\n", f->no_gpu);
    for (int i = 0; i < f->gpus; i++)
        printf("GPU              cuda:%d, %s, compute capability %d.%d, %.1f GB, driver for CUDA "
               "%d.%d\n",
               i, f->gpu[i].name, f->gpu[i].major, f->gpu[i].minor, (double)f->gpu[i].bytes / 1e9,
               f->gpu[i].driver / 1000, f->gpu[i].driver % 1000 / 10);
    const char *where = gen_cuda_ran_on();
    if (f->cuda)
        printf("CUDA kernels     %s%s\n", where ? "ran on " : cuda_state(f), where ? where : "");
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

static void print_text(const struct found *f, bool with_ops)
{
    printf("gen %s\n", gen_version());
    printf("instruction set  %s\n", isa_name(f->cpu->isa));
    printf("threads          %d\n", gen_pool_threads(f->cpu->pool));
    for (int built = 1; built >= 0; built--) {
        printf(built ? "built in        " : "not built in    ");
        for (int i = 0; i < GEN_LEN(features); i++)
            if (is_built(f, features[i]) == built)
                printf(" %s", features[i]);
        printf("\n");
    }
    print_gpus(f);
    print_models();
    if (with_ops)
        print_ops(f);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void put_kernels(gen_json_writer *w, const char *name, const gen_kernel *const *k,
                        const gen_op *op)
{
    gen_json_open(w, name, '[');
    for (; *k; k++)
        if (gen_kernel_serves(*k, op))
            gen_json_put_string(w, NULL, (*k)->name);
    gen_json_close(w, ']');
}

static void put_ops(gen_json_writer *w, const struct found *f)
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
        put_kernels(w, "cpu", f->cpu->kernels, ops[i]);
        if (f->cuda)
            put_kernels(w, "cuda", f->cuda, ops[i]);
        else
            gen_json_put_null(w, "cuda");
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

static void put_gpus(gen_json_writer *w, const struct found *f)
{
    char name[16];
    gen_json_open(w, "cuda", '{');
    gen_json_put_string(w, "kernels", cuda_state(f));
    gen_json_put_string(w, "ran_on", gen_cuda_ran_on());
    gen_json_open(w, "gpus", '[');
    for (int i = 0; i < f->gpus; i++) {
        snprintf(name, sizeof name, "cuda:%d", i);
        gen_json_open(w, NULL, '{');
        gen_json_put_string(w, "device", name);
        gen_json_put_string(w, "name", f->gpu[i].name);
        gen_json_put_real(w, "compute_capability", f->gpu[i].major + 0.1 * f->gpu[i].minor);
        gen_json_put_int(w, "memory_bytes", (int64_t)f->gpu[i].bytes);
        gen_json_put_int(w, "driver_cuda", f->gpu[i].driver);
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
    gen_json_put_string(w, "no_gpu", f->gpus ? NULL : f->no_gpu);
    gen_json_close(w, '}');
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

static gen_status print_json(const struct found *f, bool with_ops)
{
    gen_json_writer w = { 0 };
    char *text;
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "version", gen_version());
    gen_json_put_string(&w, "instruction_set", isa_name(f->cpu->isa));
    gen_json_put_int(&w, "threads", gen_pool_threads(f->cpu->pool));
    gen_json_open(&w, "features", '{');
    for (int i = 0; i < GEN_LEN(features); i++)
        gen_json_put_bool(&w, features[i], is_built(f, features[i]));
    gen_json_close(&w, '}');
    put_gpus(&w, f);
    put_models(&w);
    if (with_ops)
        put_ops(&w, f);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    puts(text);
    gen_free(text);
    return GEN_OK;
}

static gen_status run_info(gen_run *r)
{
    const struct info_settings *s = r->settings;
    const gen_common *c = &r->common;
    gen_status status = GEN_OK;
    struct found f = { 0 };
    gen_backend *asked;
    GEN_TRY(gen_backend_open(&asked, c->device, (int)c->threads)); /* whether it can be used */
    f.cpu = asked->host ? asked->host : asked;
    look(&f);
    if (c->json)
        GEN_GOTO(print_json(&f, s->ops));
    else
        print_text(&f, s->ops);
done:
    gen_backend_close(&asked);
    return status;
}

const gen_command gen_commands_info[] = {
    { .name = "info",
      .help = "Version, instruction set, threads, built-in features, GPUs, bundled models. With "
              "--device cuda it fails where no GPU can be used.",
      .options = options,
      .settings_size = sizeof(struct info_settings),
      .takes = GEN_TAKES_JSON | GEN_TAKES_COMPUTE,
      .run = run_info,
      .examples = "gen info\ngen info --ops\ngen info --json\ngen info --device cuda\n" },
    { 0 },
};
