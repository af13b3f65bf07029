/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files of any bytes, of every format, through the public functions: load, and import with an
 * importer that asks for everything. What is taken is saved with its companions, and what was saved
 * is loaded.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libgen/base/alloc.h"
#include "tests/toy.h"

static const char *path(void)
{
    static char text[64];
    snprintf(text, sizeof text, "/tmp/libgen-fuzz-%d", (int)getpid());
    return text;
}

static void leave(void)
{
    (void)remove(path());
}

/* A file that loads holds its companions, and is written and loaded again with them. */
static void again(const gen_model *m)
{
    gen_model *companion[GEN_MAX_COMPANIONS] = { 0 }, *back = NULL;
    int n = m->n_companions;
    for (int i = 0; i < n; i++)
        if (gen_model_load_companion(&companion[i], path(), m->companion[i]->name) != GEN_OK)
            abort();
    if (gen_model_save_with(m, (const gen_model *const *)companion, n, path(), GEN_F32, NULL,
                            true) != GEN_OK ||
        gen_model_load(&back, path()) != GEN_OK || back->n_companions != n)
        abort();
    gen_model_free(&back);
    for (int i = 0; i < n; i++)
        gen_model_free(&companion[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    gen_model *m;
    char *report;
    if (!started++) {
        atexit(leave);
        (void)gen_arch_register(&toy_arch);
    }
    toy_write(path(), data, size);
    uint64_t before = gen_alloc_bytes();
    if (gen_model_load(&m, path()) == GEN_OK)
        again(m);
    gen_model_free(&m);
    if (gen_model_import(&m, path(), NULL, &report) == GEN_OK)
        gen_text_free(report);
    gen_model_free(&m);
    if (gen_alloc_bytes() != before || gen_alloc_peak() > (uint64_t)512 << 20)
        abort();
    return 0;
}
