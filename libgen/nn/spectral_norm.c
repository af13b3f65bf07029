/* SPDX-License-Identifier: Apache-2.0
 *
 * Spectral normalisation (Miyato et al. 2018; reference 1.1): w / sigma, sigma the running estimate
 * of the largest singular value of w as a matrix W [Cout, rest]. Made of ordinary ops, so that its
 * gradient is theirs: through w and through sigma = u.(W v), with u and v constant.
 *
 * One power iteration per training forward and weight: the cache of the net sees to that, and the
 * new vectors are updates that the owner commits once per logical step. In eval nothing depends on
 * an input: the plan computes w / sigma once.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

/* t / max(|t|, eps), or t / sqrt(|t|^2 + eps); t [n,1]. One op: a power iteration is launches. */
static gen_node *unit(gen_graph *g, gen_node *t, gen_sn_kind kind, double eps)
{
    return gen_unit(g, t, &(gen_unit_attr){ .eps = eps, .at_least = kind != GEN_SN_SONNET });
}

/* One power iteration: new u [Cout,1] and v [rest,1] from the old. PyTorch updates u first, Sonnet
 * v first (and keeps no v: the old one is not read). */
static void iterate(gen_graph *g, gen_node *matrix, gen_sn_kind kind, double eps, gen_node **u,
                    gen_node **v)
{
    const gen_matmul_attr transposed = { .transpose_a = 1 };
    if (kind == GEN_SN_SONNET) {
        *v = unit(g, gen_matmul(g, matrix, *u, &transposed), kind, eps);
        *u = unit(g, gen_matmul(g, matrix, *v, NULL), kind, eps);
    } else {
        *u = unit(g, gen_matmul(g, matrix, *v, NULL), kind, eps);
        *v = unit(g, gen_matmul(g, matrix, *u, &transposed), kind, eps);
    }
    *u = gen_stop_gradient(g, *u);
    *v = gen_stop_gradient(g, *v);
}

gen_node *gen_spectral_norm(gen_net *net, gen_node *w, gen_sn_kind kind, double eps)
{
    gen_graph *g = net->g;
    if (kind == GEN_SN_NONE || gen_graph_failed(g))
        return w;
    gen_node *known = gen_sn_find(net, w);
    if (known)
        return known;

    int64_t rows = gen_node_shape(w).dim[0];
    int64_t rest = gen_shape_count(gen_node_shape(w)) / rows;
    gen_node *u_state = gen_state(g, "u", GEN_SHAPE(rows), GEN_INIT_UNIT);
    gen_node *v_state = gen_state(g, "v", GEN_SHAPE(rest), GEN_INIT_UNIT);
    gen_node *matrix = gen_reshape(g, w, GEN_SHAPE(rows, rest));
    gen_node *u = gen_reshape(g, u_state, GEN_SHAPE(rows, 1));
    gen_node *v = gen_reshape(g, v_state, GEN_SHAPE(rest, 1));
    if (net->training) {
        iterate(g, gen_stop_gradient(g, matrix), kind, eps, &u, &v);
        gen_net_update(net, (gen_update){ .state = u_state, .mean = u });
        gen_net_update(net, (gen_update){ .state = v_state, .mean = v });
    }
    gen_node *sigma = gen_matmul(g, u, gen_matmul(g, matrix, v, NULL),
                                 &(gen_matmul_attr){ .transpose_a = 1 }); /* [1,1] */
    gen_node *normal = gen_div(g, w, gen_reshape(g, sigma, GEN_SHAPE(1)));
    gen_sn_remember(net, w, normal);
    return normal;
}
