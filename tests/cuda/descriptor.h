/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors of the stand-in for cuDNN: attributes as they were set, and what finalising made of
 * them.
 */
#ifndef TESTS_CUDA_DESCRIPTOR_H
#define TESTS_CUDA_DESCRIPTOR_H

#include <functional>
#include <memory>
#include <string>

#include "tests/cuda/graph.h"

struct descriptor;
typedef std::shared_ptr<descriptor> descriptor_ref;

struct attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<char> bytes;
    std::vector<descriptor_ref> links;
};

struct graph {
    void *handle = nullptr;
    std::vector<operation> ops; /* in order of execution */
    std::map<int64_t, tensor> tensors;
};

struct descriptor {
    int kind = 0;
    bool finalized = false;
    std::map<int, attribute> set;

    tensor shape;
    convolution conv;
    pointwise pw;
    operation op;
    std::shared_ptr<const ::graph> graph; /* of a graph, heuristic, engine, configuration, plan */
    int engine = 0;
    std::vector<int> offered;

    bool has(int name) const
    {
        return set.count(name) > 0;
    }
    template <class T> T get(int name) const
    {
        return *(const T *)set.at(name).bytes.data();
    }
    double real(int name, double preset) const
    {
        if (!has(name))
            return preset;
        return set.at(name).type == CUDNN_TYPE_FLOAT ? get<float>(name) : get<double>(name);
    }
    sizes list(int name) const
    {
        const attribute &a = set.at(name);
        const int64_t *v = (const int64_t *)a.bytes.data();
        return sizes(v, v + a.count);
    }
    const descriptor_ref &link(int name) const
    {
        return set.at(name).links[0];
    }
};

/* Engines: one whose result differs from run to run, one that reads f32 as TF32 (only offered for
 * f32), one without fault, and what the fall-back heuristic knows. */
enum { ENGINE_NOISY, ENGINE_TF32, ENGINE_PLAIN, ENGINE_FALLBACK, ENGINE_COUNT };

std::vector<int> engines_of(const graph &g, bool fallback, const std::string &behaviour);
std::vector<cudnnBackendNumericalNote_t> notes_of(const graph &g, int engine);
std::vector<cudnnBackendBehaviorNote_t> behaviour_of(const graph &g, int engine);
int64_t workspace_of(const graph &g, int engine);

/* A plan as JSON, and back. */
std::string plan_text(const graph &g, int engine);
bool plan_of_text(const std::string &text, graph *g, int *engine);

/* Tensors, convolutions, pointwise, operations, graphs, variant packs: checks them and fills what
 * they mean. */
cudnnStatus_t interpret(descriptor &d);

typedef std::function<void()> execution;
cudnnStatus_t prepare_execution(const descriptor &plan, const descriptor &pack, execution *out);

/* Keeps the sentence for cudnnGetLastErrorString. */
cudnnStatus_t refuse(cudnnStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
