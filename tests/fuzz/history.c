/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs of a training: an error or a history whose steps rise and whose numbers can all be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/train/history.h"

static void walk(const gen_history *h, gen_history_kind kind)
{
    int64_t n, last = -1;
    double sum = 0;
    const gen_history_line *l = gen_history_lines(h, kind, &n);
    for (int64_t i = 0; i < n; i++) {
        const double *v;
        const char *name;
        bool rises = kind == GEN_HISTORY_STEP || kind == GEN_HISTORY_VALIDATION;
        if (rises && l[i].step <= last)
            abort();
        last = l[i].step;
        for (int k = 0; (name = gen_history_name(h, kind, "", &k));)
            for (int m = gen_history_numbers(h, &l[i], name, &v); m > 0; m--)
                sum += v[m - 1];
        sum += (double)(strlen(l[i].what) + strlen(l[i].text) + strlen(l[i].time));
    }
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_history *h;
    if (gen_history_parse(&h, (const char *)data, size, "log") != GEN_OK)
        return 0;
    const char *sentence;
    if (gen_history_cut(h) != (size > 0 && data[size - 1] != '\n') ||
        (gen_history_broken(h, &sentence) > 0) != (*sentence != 0))
        abort();
    for (int k = 0; k < GEN_HISTORY_KINDS; k++)
        walk(h, (gen_history_kind)k);
    gen_history_free(&h);
    return 0;
}
