/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar products: products of an ensemble forecast that is there already.
 */
#include "cli/products.h"
#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

typedef struct settings {
    product_settings products;
    int64_t encoding;
} settings;

static const gen_option options[] = {
    PRODUCT_OPTIONS(offsetof(settings, products)),
    { GEN_OPT_CHOICE, "members-out", PRODUCT_AT(offsetof(settings, products), without_members),
      .preset = 0, .choices = "yes|no",
      .help = "with --accumulate: also the amounts of each member" },
    { GEN_OPT_CHOICE, "encoding", .offset = offsetof(settings, encoding), .choices = "packed|float",
      .help = "packed: 16 bit in steps of 1/128 mm/h or mm; float: 32 bit" },
    { 0 },
};

static gen_status check_call(const product_call *c)
{
    static const char *const parts[] = { "bbox", "crop", "upscale", "fill-gap" };
    const char *output = c->run->common.output;
    for (int i = 0; i < GEN_LEN(parts); i++)
        if (gen_run_given(c->run, parts[i]))
            return gen_fail(GEN_EINVAL, "radar products: --%s is for observations, not forecasts",
                            parts[i]);
    if (!c->any && c->n_points == 0)
        return gen_fail(GEN_EINVAL, "radar products: which? give --exceed, --mean, --matched-mean, "
                                    "--percentiles, --accumulate or --at-point");
    if (c->any && !output && c->n_points == 0)
        return gen_fail(GEN_EINVAL, "radar products: where to? give -o FILE.nc");
    if (output && !c->any)
        return gen_fail(GEN_EINVAL,
                        "radar products: -o %.200s: series at points go to "
                        "--point-output, and nothing else is asked for",
                        output);
    return GEN_OK;
}

/* Every field of every member once more, for the points alone. */
static gen_status read_series(product_call *c, gen_forecast_file *f)
{
    gen_status status = GEN_OK;
    float *rain = NULL;
    if (c->n_points == 0)
        return GEN_OK;
    GEN_TRY(GEN_ALLOC(&rain, f->grid.height * f->grid.width, "a field"));
    for (int64_t m = 0; m < f->members && status == GEN_OK; m++)
        for (int64_t t = 0; t < f->lead_steps && status == GEN_OK; t++) {
            status = gen_forecast_read(f, m, t, rain);
            if (status == GEN_OK)
                products_keep(c, f->grid.width, m, t, rain);
        }
    gen_free(rain);
    return status;
}

static gen_status report(const product_call *c, const gen_forecast_file *f)
{
    const gen_common *common = &c->run->common;
    gen_json_writer w = { 0 };
    char *text = NULL, from[32];
    if (!common->json) {
        if (!common->quiet && common->output && !products_on_stdout(c))
            printf("%s: products of %lld member%s at %lld lead times\n", common->output,
                   (long long)f->members, f->members > 1 ? "s" : "", (long long)f->lead_steps);
        return GEN_OK;
    }
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "output", common->output);
    gen_json_put_string(&w, "source", f->path);
    gen_json_put_string(&w, "reference_time", gen_time_text(f->reference_time, from));
    gen_json_put_int(&w, "step_seconds", f->step);
    gen_json_put_int(&w, "lead_steps", f->lead_steps);
    gen_json_put_int(&w, "members", f->members);
    GEN_TRY(products_series_json(c, &w));
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    printf("%s\n", text);
    gen_free(text);
    return GEN_OK;
}

static gen_status write_products(const product_call *c, const settings *s, gen_forecast_file *f)
{
    gen_status status;
    char *history = NULL;
    if (!c->run->common.output || !c->any)
        return GEN_OK;
    GEN_TRY(history_text(&history, c->run, NULL));
    const gen_products_info info = { .floats = s->encoding == 1,
                                     .force = c->run->common.force,
                                     .source = f->path,
                                     .history = history };
    status = gen_products_write(f, c->run->common.output, &c->o, &info);
    gen_free(history);
    return status;
}

static gen_status run_products(gen_run *r)
{
    gen_status status;
    const settings *s = r->settings;
    product_call c = { 0 };
    gen_forecast_file *f = NULL;
    gen_radar_read_options read;
    leave_hdf5_at_exit();
    GEN_GOTO(products_parse(&c, r, &s->products));
    GEN_GOTO(check_call(&c));
    if (r->common.output) {
        file_list in = { .path = (char *[]){ (char *)r->operands[0] }, .n = 1 };
        GEN_GOTO(refuse_input(&in, r->common.output));
    }
    GEN_GOTO(radar_options(&read, r));
    GEN_GOTO(gen_forecast_open(&f, r->operands[0], &read));
    const gen_products_shape shape = { .members = f->members,
                                       .lead_steps = f->lead_steps,
                                       .height = f->grid.height,
                                       .width = f->grid.width,
                                       .step = f->step };
    GEN_GOTO(products_prepare(&c, &shape, &f->grid, f->reference_time, f->time));
    GEN_GOTO(read_series(&c, f));
    GEN_GOTO(write_products(&c, s, f));
    GEN_GOTO(products_put_series(&c));
    GEN_GOTO(report(&c, f));
done:
    gen_forecast_close(&f);
    products_free(&c);
    return status;
}

const gen_command gen_commands_radar_products[] = {
    { .name = "radar products",
      .operands = "FORECAST",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Probabilities, percentiles, means, rain amounts and point series of an ensemble "
              "forecast (ours, of pysteps, any CF netCDF with members).",
      .options = options,
      .settings_size = sizeof(settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_JSON | GEN_TAKES_RADAR,
      .run = run_products,
      .examples = "gen radar products forecast.nc --exceed 1,5,10 --accumulate 60 -o products.nc\n"
                  "gen radar products forecast.nc --at-point 52.1,5.18 --exceed 1\n" },
    { 0 },
};
