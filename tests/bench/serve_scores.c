/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner of libgen for tests/bench/scores.py: reads fields [leads][1 + members][h,w] (.npy, the
 * observation first), says "ready", then answers each line "WHAT LEADS THREADS" on stdin with the
 * seconds that scoring so many lead times took and one number, to be compared with the peer's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/metrics.h>
#include <libgen/tensor.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct part {
    const char *name;
    unsigned parts;
    int pools;
} parts[] = {
    { "crps", GEN_SCORE_CRPS, -1 },
    { "pooled", GEN_SCORE_CRPS, 2 },
    { "csi", GEN_SCORE_CATEGORIES, -1 },
    { "fss", GEN_SCORE_FSS, -1 },
    { "psd", GEN_SCORE_PSD, -1 },
    { "ranks", GEN_SCORE_RANKS, -1 },
    { "reliability", GEN_SCORE_PROBABILITIES, -1 },
    { "all", GEN_SCORE_ALL, 2 },
};

static double number(const gen_score_result *r, const char *what)
{
    if (!strcmp(what, "csi"))
        return r->at[0].members.csi.value;
    if (!strcmp(what, "fss"))
        return r->at[0].fss[1].members.value;
    if (!strcmp(what, "psd"))
        return r->psd_members[10].value;
    if (!strcmp(what, "ranks"))
        return r->rank[0].value;
    if (!strcmp(what, "reliability"))
        return r->at[0].roc_area.value;
    return r->crps.standard.value;
}

static gen_status answer(const gen_tensor *t, const struct part *p, int64_t leads, int threads)
{
    const int64_t *dim = t->shape.dim;
    const float *field = t->data, *members[GEN_SCORE_MEMBERS_MAX];
    gen_score_options o = { .height = dim[2],
                            .width = dim[3],
                            .members = dim[1] - 1,
                            .leads = leads,
                            .parts = p->parts,
                            .threads = threads };
    o.pools = p->pools;
    o.pool[0] = 4;
    o.pool[1] = 16;
    gen_score *s;
    gen_score_result *r;
    gen_status status = gen_score_create(&s, &o);
    double start = now(), taken = 0;
    for (int64_t lead = 0; !status && lead < leads; lead++) {
        const float *at = field + lead * dim[1] * dim[2] * dim[3];
        for (int64_t k = 1; k < dim[1]; k++)
            members[k - 1] = at + k * dim[2] * dim[3];
        status = gen_score_add(s, lead, at, members);
    }
    if (!status)
        status = gen_score_finish(&r, s, -1);
    taken = now() - start;
    if (!status) {
        printf("%.6f %.12g\n", taken, number(r, p->name));
        gen_score_result_free(&r);
    }
    gen_score_free(&s);
    return status;
}

int main(int argc, char **argv)
{
    gen_tensor t;
    char line[64], what[16];
    int leads, threads;
    if (argc < 2 || gen_npy_read(&t, argv[1], 1ull << 33) || t.shape.rank != 4) {
        fprintf(stderr, "serve_scores FIELDS.npy: %s\n", gen_last_error());
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%15s %d %d", what, &leads, &threads) != 3 || leads > t.shape.dim[0])
            return 2;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (!strcmp(parts[i].name, what) && answer(&t, &parts[i], leads, threads)) {
                fprintf(stderr, "serve_scores: %s\n", gen_last_error());
                return 1;
            }
        fflush(stdout);
    }
    gen_tensor_free(&t);
    return 0;
}
