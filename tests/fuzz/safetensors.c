/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files of any bytes, of every format, through the public functions: load, and import with an
 * importer that asks for everything. What is taken is saved, and what was saved is loaded.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    gen_model *m, *again;
    char *report;
    if (!started++) {
        atexit(leave);
        (void)gen_arch_register(&toy_arch);
    }
    toy_write(path(), data, size);
    uint64_t before = gen_alloc_bytes();
    if (gen_model_load(&m, path()) == GEN_OK) {
        if (gen_model_save(m, path(), GEN_F32, NULL, true) != GEN_OK ||
            gen_model_load(&again, path()) != GEN_OK)
            abort();
        gen_model_free(&again);
    }
    gen_model_free(&m);
    if (gen_model_import(&m, path(), NULL, &report) == GEN_OK)
        gen_text_free(report);
    gen_model_free(&m);
    if (gen_alloc_bytes() != before || gen_alloc_peak() > (uint64_t)512 << 20)
        abort();
    return 0;
}
