/* SPDX-License-Identifier: Apache-2.0
 *
 * GNU style arguments: --opt VALUE, --opt=VALUE, -o VALUE, -oVALUE, flags, -qv, and -- before
 * operands that begin with '-'. Options and operands may be mixed; '-' and '_' are alike in names.
 */
#include "cli/arguments.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define AT(field) offsetof(gen_common, field)

static const gen_option always[] = {
    { GEN_OPT_FLAG, "quiet", 'q', AT(quiet), .help = "no progress bar, no warnings" },
    { GEN_OPT_FLAG, "verbose", 'v', AT(verbose), .help = "say more on stderr" },
    { GEN_OPT_END },
};
static const gen_option model_options[] = {
    { GEN_OPT_STRING, "model", 'm', AT(model), .value = "FILE",
      .help = "model file; default: the one that comes with the program" },
    { GEN_OPT_END },
};
static const gen_option output_options[] = {
    { GEN_OPT_STRING, "output", 'o', AT(output), .value = "FILE", .help = "where the result goes" },
    { GEN_OPT_FLAG, "force", 0, AT(force), .help = "overwrite an output that exists" },
    { GEN_OPT_END },
};
static const gen_option compute_options[] = {
    { GEN_OPT_INT, "threads", 't', AT(threads), .min = 0, .max = 256, .value = "N",
      .help = "threads; 0 = all processors of this process" },
    { GEN_OPT_STRING, "device", 0, AT(device), .text = "cpu", .value = "DEVICE",
      .help =
          "where networks are computed: cpu, cuda (the first NVIDIA GPU), cuda:1, or auto: cuda "
          "where there is one, else the CPU" },
    { GEN_OPT_CHOICE, "precision", 0, AT(precision), .choices = "f32|bf16|tf32",
      .help = "storage of activations; sums are f32. tf32, on a GPU: f32 whose factors are rounded "
              "to 10 bits in convolutions and products" },
    { GEN_OPT_STRING, "memory-budget", 0, AT(memory_budget_text), .value = "SIZE",
      .help = "most memory for a network's activations, e.g. 2G" },
    { GEN_OPT_END },
};
static const gen_option seed_options[] = {
    { GEN_OPT_INT, "seed", 0, AT(seed), .min = 0, .max = 9.3e18, .value = "N",
      .help = "random numbers; the same seed gives the same bytes" },
    { GEN_OPT_END },
};
static const gen_option sample_options[] = {
    { GEN_OPT_INT, "num-samples", 'n', AT(samples), .preset = 1, .min = 1, .max = 1e6, .value = "N",
      .help = "samples to draw" },
    { GEN_OPT_INT, "members", 0, AT(samples), .preset = 1, .min = 1, .max = 1e6, .value = "N",
      .help = "the same, for ensembles" },
    { GEN_OPT_END },
};
static const gen_option json_options[] = {
    { GEN_OPT_FLAG, "json", 0, AT(json), .help = "print JSON" },
    { GEN_OPT_END },
};
static const gen_option plan_options[] = {
    { GEN_OPT_FLAG, "plan", 0, AT(plan), .help = "print memory and steps, run nothing" },
    { GEN_OPT_END },
};
static const gen_option radar_file_options[] = {
    { GEN_OPT_STRING, "variable", 0, AT(radar.variable), .value = "NAME",
      .help = "what to read where a file holds several things, as its format names it: DBZH, "
              "dataset2/data1; default the rain" },
    { GEN_OPT_STRING, "units", 0, AT(radar.units), .value = "UNITS",
      .help = "of the values, instead of what the files say: mm/h, mm (with --interval) or dBZ" },
    { GEN_OPT_REAL, "interval", 0, AT(radar.interval), .min = 0, .max = 1e6, .value = "MIN",
      .help = "minutes in which a depth of rain fell; 0 = as the files say" },
    { GEN_OPT_STRING, "zr", 0, AT(radar.zr), .value = "A,B",
      .help = "Z = A R^B makes rain of dBZ; default as the files say, else 200,1.6" },
    { GEN_OPT_REAL, "threshold", 0, AT(radar.threshold), .min = 0, .max = 1000, .value = "MM/H",
      .help = "less rain than this is none" },
    { GEN_OPT_STRING, "palette", 0, AT(radar.palette), .value = "FILE",
      .help = "table with the value of each palette entry of a picture; default known palettes" },
    { GEN_OPT_STRING, "pattern", 0, AT(radar.pattern), .value = "TEXT",
      .help = "of file names in folders, with the time as in strftime: '%Y%m%d%H%M.h5' (%Y %m %d "
              "%H %M %S %j %y %b; * and ? for other characters; '%Y/%m/%d/*.h5' goes into "
              "folders); also tells the time where a file does not" },
    { GEN_OPT_CHOICE, "fill-gap", 0, AT(radar.fill_gap), .choices = "no|missing|advect",
      .help = "a missing frame is an error, a frame of missing cells, or advected from its "
              "neighbours (at most 3 in a row)" },
    { GEN_OPT_FLAG, "untrusted", 0, AT(radar.untrusted),
      .help = "read every file in a process of its own that can neither write nor start programs "
              "nor use the network, with limits on memory and time" },
    { GEN_OPT_END },
};

static const gen_option radar_part_options[] = {
    { GEN_OPT_STRING, "bbox", 0, AT(radar.bbox), .value = "S,W,N,E",
      .help = "only the cells within these degrees of latitude and longitude" },
    { GEN_OPT_STRING, "crop", 0, AT(radar.crop), .value = "Y,X,H,W",
      .help = "only H x W cells, from row Y (0 = north) and column X (0 = west)" },
    { GEN_OPT_INT, "upscale", 0, AT(radar.upscale), .preset = 1, .min = 1, .max = 1024,
      .value = "K", .help = "means of K x K cells" },
    { GEN_OPT_END },
};

static const struct {
    unsigned bit;
    const gen_option *table;
} common_tables[] = {
    { GEN_TAKES_MODEL, model_options },
    { GEN_TAKES_OUTPUT, output_options },
    { GEN_TAKES_SEED, seed_options },
    { GEN_TAKES_SAMPLES, sample_options },
    { GEN_TAKES_COMPUTE, compute_options },
    { GEN_TAKES_PLAN, plan_options },
    { GEN_TAKES_JSON, json_options },
    { GEN_TAKES_RADAR_FILES, radar_file_options },
    { GEN_TAKES_RADAR_PART, radar_part_options },
    { ~0u, always },
};

/* Table i of those that c takes: 0 is its own. *base: the struct they fill. NULL behind the last.
 */
static const gen_option *table_of(const gen_command *c, int i, gen_run *r, void **base)
{
    *base = i ? (void *)&r->common : r->settings;
    if (i == 0)
        return c->options ? c->options : always + GEN_LEN(always) - 1;
    for (int t = 0; t < GEN_LEN(common_tables); t++)
        if (common_tables[t].bit & (c->takes | 1u << 31) && --i == 0)
            return common_tables[t].table;
    return NULL;
}

/* ---- parsing -------------------------------------------------------------------------------- */

typedef struct parser {
    gen_run *r;
    const gen_command *c;
    char *const *words;
    int n, at;
    const char **operands;
} parser;

static const gen_option *find(parser *p, const char *name, char letter, void **base)
{
    const gen_option *t;
    for (int i = 0; (t = table_of(p->c, i, p->r, base)); i++) {
        if (name) {
            const gen_option *o = gen_option_find(t, name);
            if (o)
                return o;
            continue;
        }
        for (; t->type != GEN_OPT_END; t++)
            if (t->letter && t->letter == letter)
                return t;
    }
    return NULL;
}

static gen_status unknown(parser *p, const char *name)
{
    const char *names[128];
    int n = 0;
    void *base;
    const gen_option *t;
    for (int i = 0; (t = table_of(p->c, i, p->r, &base)); i++)
        for (; t->type != GEN_OPT_END && n < GEN_LEN(names); t++)
            names[n++] = t->name;
    const char *near = gen_nearest_word(name, names, n);
    if (near)
        return gen_fail(GEN_EINVAL, "unknown option '--%s'; did you mean '--%s'?", name, near);
    return gen_fail(GEN_EINVAL, "unknown option '--%s' (gen %s --help lists them)", name,
                    p->c->name);
}

static gen_status set(parser *p, const gen_option *o, void *base, const char *text)
{
    p->r->given[p->r->n_given++] = (struct gen_given){ o, text };
    return gen_option_apply(o, base, text);
}

/* The word behind an option that wants one. */
static gen_status next_word(parser *p, const gen_option *o, const char **text)
{
    if (p->at == p->n)
        return gen_fail(GEN_EINVAL, "option --%s wants a value", o->name);
    *text = p->words[p->at++];
    return GEN_OK;
}

static gen_status take_long(parser *p, const char *word)
{
    char name[80];
    size_t length = strcspn(word, "=");
    if (length >= sizeof name)
        return gen_fail(GEN_EINVAL, "unknown option '--%.60s...'", word);
    memcpy(name, word, length);
    name[length] = 0;
    void *base;
    const gen_option *o = find(p, name, 0, &base);
    const char *text = word[length] ? word + length + 1 : NULL;
    if (!o)
        return unknown(p, name);
    if (!text && o->type == GEN_OPT_FLAG)
        text = "1";
    if (!text)
        GEN_TRY(next_word(p, o, &text));
    return set(p, o, base, text);
}

static gen_status take_letters(parser *p, const char *word)
{
    for (; *word; word++) {
        void *base;
        const gen_option *o = find(p, NULL, *word, &base);
        if (!o)
            return gen_fail(GEN_EINVAL, "unknown option '-%.*s' (gen %s --help lists them)",
                            *word & 0x80 ? 20 : 1, word, p->c->name);
        if (o->type == GEN_OPT_FLAG) {
            GEN_TRY(set(p, o, base, "1"));
            continue;
        }
        const char *text = word + 1;
        if (!*text)
            GEN_TRY(next_word(p, o, &text));
        return set(p, o, base, text);
    }
    return GEN_OK;
}

static gen_status take_words(parser *p)
{
    bool only_operands = false;
    while (p->at < p->n) {
        const char *w = p->words[p->at++];
        if (only_operands || w[0] != '-' || !w[1])
            p->operands[p->r->n_operands++] = w;
        else if (!strcmp(w, "--"))
            only_operands = true;
        else
            GEN_TRY(w[1] == '-' ? take_long(p, w + 2) : take_letters(p, w + 1));
    }
    return GEN_OK;
}

static gen_status check_operands(const gen_run *r, const gen_command *c)
{
    if (r->n_operands < c->min_operands)
        return gen_fail(GEN_EINVAL, "usage: gen %s %s (gen %s --help says more)", c->name,
                        c->operands, c->name);
    if (c->max_operands >= 0 && r->n_operands > c->max_operands)
        return gen_fail(GEN_EINVAL, "unexpected argument '%s' (usage: gen %s%s%s)",
                        r->operands[c->max_operands], c->name, c->operands ? " " : "",
                        c->operands ? c->operands : "");
    return GEN_OK;
}

static gen_status check_common(gen_run *r)
{
    gen_common *c = &r->common;
    if (c->memory_budget_text)
        GEN_TRY(
            gen_parse_bytes(c->memory_budget_text, "option --memory-budget", &c->memory_budget));
    if (gen_run_tf32(r) && strcmp(c->device, "cpu") == 0)
        return gen_fail(GEN_EINVAL, "--precision tf32 is for GPUs, the device is the CPU: expected "
                                    "f32 or bf16, or --device cuda");
    return GEN_OK;
}

static bool asks_help(char *const *words, int n)
{
    for (int i = 0; i < n && strcmp(words[i], "--"); i++)
        if (!strcmp(words[i], "--help") || !strcmp(words[i], "-h"))
            return true;
    return false;
}

gen_status gen_arguments_parse(gen_run *r, const gen_command *c, char *const *words, int n,
                               bool *help)
{
    *help = asks_help(words, n);
    if (*help)
        return GEN_OK;
    parser p = { .r = r, .c = c, .words = words, .n = n };
    GEN_TRY(gen_alloc(&r->settings, 1, c->settings_size, "settings"));
    GEN_TRY(GEN_ALLOC(&p.operands, n + 1, "arguments"));
    r->operands = p.operands;
    uint64_t options = 0; /* a word of n letters may be n flags */
    for (int i = 0; i < n; i++)
        options += strlen(words[i]);
    GEN_TRY(GEN_ALLOC(&r->given, options + 1, "arguments"));
    const gen_option *t;
    void *base;
    for (int i = 0; (t = table_of(c, i, r, &base)); i++)
        gen_options_defaults(t, base);
    if (!r->common.device)
        r->common.device = "cpu";
    GEN_TRY(take_words(&p));
    GEN_TRY(check_common(r));
    return check_operands(r, c);
}

void gen_arguments_free(gen_run *r)
{
    gen_free(r->settings);
    gen_free((void *)r->operands);
    gen_free(r->given);
}

int gen_run_given(const gen_run *r, const char *name)
{
    int n = 0;
    for (int i = 0; i < r->n_given; i++)
        n += !strcmp(r->given[i].option->name, name);
    return n;
}

const char *gen_run_text(const gen_run *r, const char *name, int index)
{
    for (int i = 0; i < r->n_given; i++)
        if (!strcmp(r->given[i].option->name, name) && index-- == 0)
            return r->given[i].text;
    return NULL;
}

gen_dtype gen_run_dtype(const gen_run *r)
{
    return r->common.precision == GEN_PRECISION_BF16 ? GEN_BF16 : GEN_F32;
}

bool gen_run_tf32(const gen_run *r)
{
    return r->common.precision == GEN_PRECISION_TF32;
}

/* ---- help ----------------------------------------------------------------------------------- */

void gen_arguments_print(FILE *out, const char *text, int indent, int column)
{
    bool blank = false; /* owed before the next word */
    for (const char *p = text; *p; p += strspn(p, " ")) {
        int n = (int)strcspn(p, " ");
        if (blank && column + n > 96) {
            column = fprintf(out, "\n%*s", indent, "") - 1;
            blank = false;
        }
        column += fprintf(out, "%s%.*s", blank ? " " : "", n, p);
        blank = true;
        p += n;
    }
    fputc('\n', out);
}

/* " (default 90; 5 to 600)" */
static void limits_text(const gen_option *o, char *buf, size_t size)
{
    char value[64] = "", a[GEN_REAL_TEXT], b[GEN_REAL_TEXT], range[2 * GEN_REAL_TEXT + 8] = "";
    if (o->type == GEN_OPT_STRING)
        snprintf(value, sizeof value, "%s", o->text ? o->text : "");
    else if (o->type == GEN_OPT_CHOICE)
        gen_option_choice(o, (int64_t)o->preset, value);
    else if (o->type != GEN_OPT_FLAG && (o->preset >= o->min || o->min == o->max))
        gen_real_text(o->preset, value); /* a preset below the range means: not given */
    if ((o->type == GEN_OPT_INT || o->type == GEN_OPT_REAL) && (o->min != 0 || o->max != 0)) {
        if (o->max < 1e15)
            snprintf(range, sizeof range, "%s to %s", gen_real_text(o->min, a),
                     gen_real_text(o->max, b));
        else if (o->min != 0)
            snprintf(range, sizeof range, "at least %s", gen_real_text(o->min, a));
    }
    const char *separator = *value && *range ? "; " : "";
    buf[0] = 0;
    if (*value || *range)
        snprintf(buf, size, " (%s%s%s%s)", *value ? "default " : "", value, separator, range);
}

static void print_option(FILE *out, const gen_option *o)
{
    char left[128], text[512], limits[160];
    const char *value = o->type == GEN_OPT_FLAG     ? NULL
                        : o->type == GEN_OPT_CHOICE ? o->choices
                        : o->value                  ? o->value
                                                    : "VALUE";
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, value ? " " : "",
             value ? value : "");
    limits_text(o, limits, sizeof limits);
    snprintf(text, sizeof text, "%s%s", o->help ? o->help : "", limits);
    int column = fprintf(out, "%-30s ", left);
    if (column > 31) {
        fprintf(out, "\n%31s", "");
        column = 31;
    }
    gen_arguments_print(out, text, 31, column);
}

void gen_arguments_help(FILE *out, const gen_command *c)
{
    gen_run none = { 0 };
    void *base;
    const gen_option *t;
    fprintf(out, "Usage: gen %s%s%s [OPTION...]\n\n", c->name, c->operands ? " " : "",
            c->operands ? c->operands : "");
    gen_arguments_print(out, c->help, 0, 0);
    for (int i = 0; (t = table_of(c, i, &none, &base)); i++) {
        if (i < 2 && t->type != GEN_OPT_END)
            fprintf(out, "\n%s\n", i ? "Common options:" : "Options:");
        for (; t->type != GEN_OPT_END; t++)
            print_option(out, t);
    }
    print_option(out, &(gen_option){ GEN_OPT_FLAG, "help", 'h', 0, .help = "this text" });
    if (c->examples) {
        fprintf(out, "\nExamples:\n");
        for (const char *p = c->examples; *p; p += strspn(p, "\n")) {
            int n = (int)strcspn(p, "\n");
            fprintf(out, "  %.*s\n", n, p);
            p += n;
        }
    }
}

/* ---- the command line as text --------------------------------------------------------------- */

gen_status gen_arguments_join(char **out, int argc, char *const *argv)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_=+./,:@%^~";
    uint64_t size = 1;
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) * 4 + 3;
    char *p;
    GEN_TRY(GEN_ALLOC(&p, size, "command line"));
    *out = p;
    for (int i = 0; i < argc; i++) {
        const char *w = argv[i];
        if (i)
            *p++ = ' ';
        if (*w && w[strspn(w, safe)] == 0) {
            p += sprintf(p, "%s", w);
            continue;
        }
        *p++ = '\'';
        for (; *w; w++)
            p += *w == '\'' ? sprintf(p, "'\\''") : sprintf(p, "%c", *w);
        *p++ = '\'';
    }
    return GEN_OK;
}
