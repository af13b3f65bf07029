/* SPDX-License-Identifier: Apache-2.0
 *
 * gen train report: what a training has written down so far, as pictures and a short summary. Reads
 * RUN/run.json, RUN/log.jsonl (libgen/train/history.h says what stands there) and RUN/samples, and
 * holds no lock: the training may go on meanwhile.
 */
#include "cli/train_report.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

#define MAX_CONFIG (1u << 20) /* bytes */

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

/* ---- reading --------------------------------------------------------------------------------- */

static gen_status read_config(train_report *t, const char *path)
{
    uint64_t size;
    if (!is_there(path))
        return GEN_OK;
    GEN_TRY(gen_file_read(path, MAX_CONFIG, &t->config_text, &size));
    gen_status status = gen_json_parse(&t->config, t->config_text, size, MAX_CONFIG);
    if (status == GEN_OK && gen_json_kind_of(t->config) != GEN_JSON_OBJECT)
        status = gen_fail(GEN_EDATA, "found a value, expected a JSON object");
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s'", path);
    for (char *c = t->config_text; *c; c++) /* blanks between values: one line */
        *c = (unsigned char)*c < 32 ? ' ' : *c;
    return GEN_OK;
}

static gen_status read_log(train_report *t, const char *path)
{
    struct stat st;
    if (stat(t->folder, &st) == 0 && !S_ISDIR(st.st_mode))
        return gen_fail(GEN_EDATA, "'%s' is no folder, expected that of a training", t->folder);
    if (!is_there(path))
        return gen_fail(GEN_EDATA, "'%s': found no log.jsonl, expected the folder of a training",
                        t->folder);
    return gen_history_read(&t->log, path);
}

/* The newest validation, and the one of the lowest CRPS. */
static void find_validations(train_report *t)
{
    int64_t n;
    double lowest = INFINITY;
    const gen_history_line *v = gen_history_lines(t->log, GEN_HISTORY_VALIDATION, &n);
    for (int64_t i = 0; i < n; i++) {
        double crps = gen_history_number(t->log, &v[i], "scores/crps");
        if (crps <= lowest) {
            lowest = crps;
            t->best = &v[i];
        }
        t->newest = &v[i];
    }
}

static gen_status read_run(train_report *t)
{
    gen_status status;
    char *log = NULL, *config = NULL;
    int64_t steps, events;
    GEN_GOTO(picture_file(t->folder, "log.jsonl", &log));
    GEN_GOTO(picture_file(t->folder, "run.json", &config));
    GEN_GOTO(read_log(t, log));
    GEN_GOTO(read_config(t, config));
    find_validations(t);
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_STEP, &steps);
    (void)gen_history_lines(t->log, GEN_HISTORY_EVENT, &events);
    t->steps = steps ? l[steps - 1].step : 0;
    if (t->newest && t->newest->step > t->steps)
        t->steps = t->newest->step;
    const char *sentence;
    bool broken = gen_history_broken(t->log, &sentence) > 0;
    if (steps == 0 && events == 0 && !t->newest)
        status = broken ? gen_fail(GEN_EDATA, "%s", sentence)
                        : gen_fail(GEN_EDATA, "'%s' has no step yet: nothing to report", log);
done:
    gen_free(log);
    gen_free(config);
    return status;
}

/* ---- pictures -------------------------------------------------------------------------------- */

static gen_status plan_pictures(train_report *t, bool *made)
{
    report_plan_charts(t);
    GEN_TRY(report_plan_samples(t));
    if (t->pictures)
        GEN_TRY(output_folder(t->pictures_in, made));
    for (int i = 0; i < t->pictures; i++)
        GEN_TRY(picture_check(t->pictures_in, t->picture[i].name, t->run->common.force));
    return GEN_OK;
}

/* A sample that is damaged must not cost the curves. */
static gen_status draw_pictures(train_report *t)
{
    int drawn = 0;
    for (int i = 0; i < t->pictures; i++) {
        const report_picture p = t->picture[i];
        GEN_TRY(gen_progress_report(&t->run->progress, "pictures", i, t->pictures));
        gen_status status = p.draw(t, &p);
        if (status == GEN_EDATA)
            gen_log(GEN_LOG_WARN, "no %s: %s", p.name, gen_last_error());
        else
            GEN_TRY(status);
        if (status == GEN_OK)
            t->picture[drawn++] = p;
    }
    t->pictures = drawn;
    return GEN_OK;
}

static gen_status run(gen_run *r)
{
    gen_status status;
    bool made = false;
    train_report t = { .run = r, .folder = r->operands[0] };
    GEN_GOTO(read_run(&t));
    GEN_GOTO(r->common.output ? gen_strdup(&t.pictures_in, r->common.output)
                              : picture_file(t.folder, "report", &t.pictures_in));
    GEN_GOTO(history_text(&t.made, r, NULL));
    GEN_GOTO(plan_pictures(&t, &made));
    GEN_GOTO(draw_pictures(&t));
    GEN_GOTO(report_print(&t));
done:
    if (status != GEN_OK && made)
        rmdir(t.pictures_in); /* only when it is empty */
    gen_history_free(&t.log);
    gen_json_free(&t.config);
    gen_free(t.config_text);
    gen_free(t.pictures_in);
    gen_free(t.made);
    return status;
}

const gen_command gen_commands_train_report[] = {
    { .name = "train report",
      .operands = "RUN",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Curves and samples of a training, finished or not, as pictures in RUN/report or -o "
              "FOLDER, and a summary.",
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_JSON,
      .run = run,
      .examples = "gen train report RUN\n"
                  "gen train report RUN -o report --force --json\n" },
    { 0 },
};
