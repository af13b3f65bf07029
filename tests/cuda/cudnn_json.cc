/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan of the stand-in for cuDNN as text, for any process, as the library's is: numbers in the
 * order in which they are visited, and a sum of them, so that a damaged text is refused.
 */
#include "tests/cuda/descriptor.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace
{

const char HEAD[] = "{\"stand-in plan\":[";

/* Either way: writes the numbers that it is shown, or puts those of the text in their place. */
struct numbers {
    bool reads;
    std::string text;
    const char *at = nullptr;
    bool ok = true;
    uint64_t sum = 1469598103934665603u;

    void number(int64_t *v)
    {
        if (reads) {
            char *end = nullptr;
            *v = ok ? std::strtoll(at, &end, 10) : 0;
            ok = ok && end != at && (*end == ',' || *end == ']');
            at = ok ? end + (*end == ',') : at;
        } else {
            text += std::to_string(*v) + ",";
        }
        sum = (sum ^ (uint64_t)*v) * 1099511628211u;
    }
    template <class T> void as_number(T *v)
    {
        int64_t n = (int64_t)*v;
        number(&n);
        *v = (T)n;
    }
    void real(double *v)
    {
        int64_t bits;
        std::memcpy(&bits, v, sizeof bits);
        number(&bits);
        std::memcpy(v, &bits, sizeof bits);
    }
    template <class T> void length(std::vector<T> *v)
    {
        int64_t n = (int64_t)v->size();
        number(&n);
        ok = ok && n >= 0 && n <= 1000;
        v->resize(ok ? (size_t)n : 0);
    }
    void list(sizes *s)
    {
        length(s);
        for (int64_t &v : *s)
            number(&v);
    }
    void visit(tensor *t)
    {
        number(&t->uid);
        number(&t->alignment);
        as_number(&t->type);
        list(&t->dim);
        list(&t->stride);
        as_number(&t->is_virtual);
        as_number(&t->by_value);
    }
    void visit(operation *o)
    {
        as_number(&o->kind);
        length(&o->in);
        for (tensor &t : o->in)
            visit(&t);
        visit(&o->out);
        for (sizes *s : { &o->conv.stride, &o->conv.dilation, &o->conv.lo, &o->conv.hi })
            list(s);
        as_number(&o->pw.mode);
        as_number(&o->pw.has_upper);
        for (double *v : { &o->pw.lower, &o->pw.upper, &o->pw.slope, &o->alpha, &o->beta,
                           &o->alpha2 })
            real(v);
    }
    void visit(graph *g, int *engine)
    {
        as_number(engine);
        length(&g->ops);
        for (operation &o : g->ops)
            visit(&o);
        int64_t expected = (int64_t)(sum >> 1), found = expected;
        number(&found);
        ok = ok && found == expected;
    }
};

} // namespace

std::string plan_text(const graph &g, int engine)
{
    graph copy = g;
    numbers n = { false, HEAD };
    n.visit(&copy, &engine);
    n.text.back() = ']';
    return n.text + "}";
}

bool plan_of_text(const std::string &text, graph *g, int *engine)
{
    numbers n = { true, "" };
    if (text.compare(0, sizeof HEAD - 1, HEAD) != 0)
        return false;
    n.at = text.c_str() + sizeof HEAD - 1;
    n.visit(g, engine);
    for (const operation &o : g->ops) {
        g->tensors[o.out.uid] = o.out;
        for (const tensor &t : o.in)
            g->tensors[t.uid] = t;
    }
    return n.ok && !g->ops.empty();
}
