/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON of any bytes: an error or a tree, never a crash; what is taken can be walked, read into
 * settings, and is refused on no second reading.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libgen/base/json.h"

struct settings {
    int64_t a, flag, choice, three[3];
    double real;
    const char *text;
};

static const gen_option table[] = {
    { GEN_OPT_INT, "a", 0, offsetof(struct settings, a), .min = 0, .max = 100 },
    { GEN_OPT_FLAG, "flag", 0, offsetof(struct settings, flag) },
    { GEN_OPT_CHOICE, "choice", 0, offsetof(struct settings, choice), .choices = "x|y" },
    { GEN_OPT_INT3, "three", 0, offsetof(struct settings, three) },
    { GEN_OPT_REAL, "real", 0, offsetof(struct settings, real) },
    { GEN_OPT_STRING, "text", 0, offsetof(struct settings, text) },
    { GEN_OPT_END },
};

static void walk(const gen_json *v)
{
    int64_t i;
    double x;
    (void)gen_json_int(v, NULL, -5, 5, &i);
    (void)gen_json_real(v, NULL, &x);
    (void)gen_json_get(v, "/a/0/b");
    for (const gen_json *c = gen_json_first(v); c; c = gen_json_next(c))
        walk(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_json *j;
    if (gen_json_parse(&j, (const char *)data, size, 1 << 16) != GEN_OK)
        return 0;
    struct settings s;
    gen_options_defaults(table, &s);
    walk(j);
    if (gen_options_from_json(table, &s, j, NULL, NULL) == GEN_OK && (s.a < 0 || s.a > 100))
        abort();
    gen_json_free(&j);
    return 0;
}
