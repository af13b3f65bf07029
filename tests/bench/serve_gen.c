/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner of libgen for tests/bench/run.py and gpu.py: makes the network and its plan, says "ready
 * SECONDS slab BYTES packed BYTES", then runs once for each line on stdin and answers with the
 * seconds it took. The peers' runners (serve_peer.py, serve_torch.py) speak the same, so that all
 * are timed in turn on the same machine.
 *
 *     serve_gen MODEL HEIGHT WIDTH f32|tf32|bf16 THREADS [DEVICE [MEMBERS [LEADS]]]
 *
 * Members have latents of their own and share the frames. A line that begins with d dumps the plan
 * instead, "o PATH" writes the last result as .npy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/model.h>
#include <libgen/plan.h>
#include <libgen/random.h>

#include "weather/dgmr_train.h"

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
        fprintf(stderr, "usage: serve_gen MODEL HEIGHT WIDTH f32|tf32|bf16 THREADS [DEVICE "
                        "[MEMBERS [LEADS]]]\n");
        return 2;
    }
    gen_model *model;
    gen_backend *backend;
    const char *device = argc > 6 ? argv[6] : "cpu";
    int64_t members = argc > 7 ? atoll(argv[7]) : 1;
    gen_arch_register(&gen_dgmr_arch);
    gen_arch_register(&gen_dgmr_ocf_arch);
    if (gen_model_load(&model, argv[1]) || gen_backend_open(&backend, device, atoi(argv[5])))
        return give_up("load");
    int64_t h = atoll(argv[2]), w = atoll(argv[3]);
    gen_dgmr_config c = *(const gen_dgmr_config *)model->config;
    c.steps = argc > 8 ? atoll(argv[8]) : c.steps;
    gen_net net = { 0 };
    if (gen_graph_create(&net.g))
        return give_up("graph");
    gen_node *frames = gen_input(net.g, "frames", GEN_F32, GEN_SHAPE(1, c.frames, h, w, 1));
    gen_node *z = gen_input(net.g, "z", GEN_F32, GEN_SHAPE(members, h / 32, w / 32, c.z_channels));
    gen_node *rain = gen_dgmr_draws(&net, &c, frames, z);
    gen_plan *plan;
    gen_plan_options o = { .precision = strcmp(argv[4], "bf16") ? GEN_F32 : GEN_BF16,
                           .tf32 = !strcmp(argv[4], "tf32"),
                           .consume_params = 1 };
    if (gen_plan_create(&plan, net.g, &rain, 1, model->params, backend, &o))
        return give_up("plan");
    const char *const names[] = { "frames", "z" };
    for (int i = 0; i < 2; i++) { /* the numbers of tests/golden/rule.py */
        gen_tensor t = gen_plan_input(plan, names[i]);
        gen_random_uniform(t.data, gen_shape_count(t.shape), 0, gen_stream(names[i]), 0);
    }
    gen_plan_info info = gen_plan_describe(plan);
    printf("ready %.3f slab %.0f packed %.0f\n", now() - start, (double)info.slab_bytes,
           (double)info.packed_bytes);
    fflush(stdout);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'd') {
            gen_plan_dump(plan, 5, stdout);
            printf("end\n");
        } else if (line[0] == 'o') {
            gen_tensor t = gen_plan_output(plan, 0);
            line[strcspn(line, "\n")] = 0;
            if (gen_npy_write(line + 2, &t))
                return give_up("output");
            printf("0\n");
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
