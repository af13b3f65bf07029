/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign checkpoints for tests of importers, written from a list of names and our own parameters.
 */
#ifndef TESTS_GOLDEN_CHECKPOINT_H
#define TESTS_GOLDEN_CHECKPOINT_H

#include "tests/golden/rule.h"

struct entry {
    char theirs[128], ours[96];
    gen_shape shape;
};

/* A list of names: an entry of a checkpoint of the package a line, our name ('-': not used), shape.
 */
static inline int read_names(const char *path, struct entry *e, int most)
{
    int n = 0;
    char line[512];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (n < most && fgets(line, sizeof line, f)) {
        int at = 0, used;
        long long dim;
        e[n] = (struct entry){ 0 };
        assert_int_equal(sscanf(line, "%127s %95s%n", e[n].theirs, e[n].ours, &at), 2);
        for (; sscanf(line + at, "%lld%n", &dim, &used) == 1; at += used)
            e[n].shape.dim[e[n].shape.rank++] = dim;
        n++;
    }
    fclose(f);
    return n;
}

/* A checkpoint as safetensors, values from `p` under their names; `spare` is put in front of the
 * first entry's name when not NULL, to make a bad file. */
static inline void write_checkpoint(const char *path, const struct entry *e, int n,
                                    const gen_params *p, const char *spare)
{
    char *header = calloc(1, 1 << 18);
    size_t at = 0, offset = 0;
    for (int i = 0; i < n; i++) {
        size_t bytes = 4 * (size_t)gen_shape_count(e[i].shape);
        at += (size_t)sprintf(header + at, "%c\"%s%s\":{\"dtype\":\"F32\",\"shape\":[",
                              i ? ',' : '{', i == 0 && spare ? spare : "", e[i].theirs);
        for (int k = 0; k < e[i].shape.rank; k++)
            at +=
                (size_t)sprintf(header + at, "%s%lld", k ? "," : "", (long long)e[i].shape.dim[k]);
        at += (size_t)sprintf(header + at, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes);
        offset += bytes;
    }
    header[at++] = '}';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint64_t length = at;
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> (8 * i) & 255), f);
    fwrite(header, 1, at, f);
    for (int i = 0; i < n; i++) {
        size_t count = (size_t)gen_shape_count(e[i].shape);
        gen_tensor t = gen_params_get(p, e[i].ours);
        float *zero = calloc(count, sizeof *zero);
        if (strcmp(e[i].ours, "-"))
            assert_true(t.data && gen_shape_equal(t.shape, e[i].shape));
        fwrite(t.data ? t.data : zero, sizeof *zero, count, f);
        free(zero);
    }
    assert_int_equal(fclose(f), 0);
    free(header);
}

/* What was imported is what the file was made of, to the bit. */
static inline void expect_same_params(const gen_params *imported, const gen_params *expected)
{
    assert_int_equal(gen_params_count(imported), gen_params_count(expected));
    for (int i = 0; i < gen_params_count(expected); i++) {
        const char *name;
        gen_tensor t = gen_params_at(expected, i, &name, NULL);
        gen_tensor found = gen_params_get(imported, name);
        if (!found.data || memcmp(found.data, t.data, gen_tensor_bytes(&t)))
            fail_msg("'%s' is not what the file holds", name);
    }
}

#endif
