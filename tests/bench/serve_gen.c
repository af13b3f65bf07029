/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner of libgen for tests/bench/run.py: makes the network and its plan, says "ready SECONDS
 * BYTES", then runs once for each line on stdin and answers with the seconds it took. The peers'
 * runners (serve_peer.py) speak the same, so that all are timed in turn on the same machine.
 *
 *     serve_gen MODEL HEIGHT WIDTH PRECISION THREADS [RULES_OFF]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/model.h>
#include <libgen/plan.h>
#include <libgen/random.h>

#include "weather/dgmr.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int give_up(const char *what)
{
    fprintf(stderr, "serve_gen: %s: %s\n", what, gen_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    double start = now();
    if (argc < 6) {
        fprintf(stderr, "usage: serve_gen MODEL HEIGHT WIDTH f32|bf16 THREADS [RULES_OFF]\n");
        return 2;
    }
    gen_model *model;
    gen_backend *backend;
    gen_arch_register(&gen_dgmr_arch);
    gen_arch_register(&gen_dgmr_ocf_arch);
    if (gen_model_load(&model, argv[1]) || gen_backend_open(&backend, "cpu", atoi(argv[5])))
        return give_up("load");
    int64_t h = atoll(argv[2]), w = atoll(argv[3]);
    gen_port in[GEN_MAX_PORTS], out[GEN_MAX_PORTS];
    int n_in = GEN_MAX_PORTS, n_out = GEN_MAX_PORTS;
    if (model->arch->inputs(model->config, in, &n_in))
        return give_up("inputs");
    gen_net net = { 0 };
    if (gen_graph_create(&net.g))
        return give_up("graph");
    for (int i = 0; i < n_in; i++) {
        if (!strcmp(in[i].name, "frames"))
            in[i].shape = GEN_SHAPE(1, 4, h, w, 1);
        else
            in[i].shape = GEN_SHAPE(1, h / 32, w / 32, 8);
        in[i].node = gen_input(net.g, in[i].name, GEN_F32, in[i].shape);
    }
    model->arch->build(&net, model->config, in, n_in, out, &n_out);
    gen_plan *plan;
    gen_plan_options o = { .precision = strcmp(argv[4], "bf16") ? GEN_F32 : GEN_BF16,
                           .consume_params = 1,
                           .rules_off = argc > 6 ? (unsigned)atoi(argv[6]) : 0 };
    if (gen_plan_create(&plan, net.g, &out[0].node, 1, model->params, backend, &o))
        return give_up("plan");
    for (int i = 0; i < n_in; i++) {
        gen_tensor t = gen_plan_input(plan, in[i].name);
        gen_random_uniform(t.data, gen_shape_count(t.shape), 1, gen_stream(in[i].name), 0);
    }
    gen_plan_info info = gen_plan_describe(plan);
    printf("ready %.3f slab %.0f packed %.0f\n", now() - start, (double)info.slab_bytes,
           (double)info.packed_bytes);
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'd') {
            gen_plan_dump(plan, 5, stdout);
        } else {
            double t = now();
            if (gen_plan_run(plan, NULL))
                return give_up("run");
            printf("%.6f\n", now() - t);
        }
        fflush(stdout);
    }
    gen_plan_free(&plan);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    gen_model_free(&model);
    gen_backend_close(&backend);
    return 0;
}
