/* SPDX-License-Identifier: Apache-2.0
 *
 * CUDA's runtime on the emulated device: streams, events, graphs.
 */
#include <time.h>

#include "tests/cuda/state.h"

using namespace emulated;

/* ---- streams --------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    *s = nullptr;
    ENTER();
    FAIL_IF("stream", cudaErrorMemoryAllocation);
    *s = new CUstream_st{
        !(flags & cudaStreamNonBlocking), {}, cudaStreamCaptureStatusNone, {}, {}, nullptr,
        device_of_thread
    };
    dev().streams.insert(*s);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    return cudaStreamCreateWithFlags(s, cudaStreamDefault);
}

/* What nobody waited for never happens. */
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    entry here;
    if (!dev().streams.erase(s))
        return done(say(cudaErrorInvalidResourceHandle, "cudaStreamDestroy: no such stream"));
    for (cudaEvent_t e : dev().events)
        if (e->stream == s)
            e->stream = nullptr, e->done = e->asked;
    delete s;
    return done(dev().fault);
}

static cudaError_t refuse_captured(CUstream_st *s, const char *call)
{
    if (s->capture == cudaStreamCaptureStatusNone)
        return unsafe(call);
    s->capture = cudaStreamCaptureStatusInvalidated;
    return say(cudaErrorStreamCaptureUnsupported, std::string(call) + " of a stream in a capture");
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    TRY(refuse_captured(s, "cudaStreamSynchronize"));
    FAIL_IF("sync", cudaErrorLaunchFailure);
    return done(run(with_blocking(s), never));
}

/* One piece of work happens at each asking, so that who polls comes to an end. */
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    CUstream_st *s;
    size_t n;
    ENTER();
    TRY(find(stream, &s));
    TRY(refuse_captured(s, "cudaStreamQuery"));
    n = s->queue.size();
    TRY(run({ s }, [=] { return s->queue.size() < n; }));
    return n ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    ENTER();
    TRY(unsafe("cudaDeviceSynchronize"));
    FAIL_IF("sync", cudaErrorLaunchFailure);
    return done(run(all_streams(), never));
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *data)
{
    return emulated_enqueue(stream, [=] { fn(data); });
}

/* ---- events ---------------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    *e = nullptr;
    ENTER();
    *e = new CUevent_st{ !(flags & cudaEventDisableTiming), false, nullptr, 0, 0, 0 };
    dev().events.insert(*e);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, cudaEventDefault);
}

static cudaError_t find_event(cudaEvent_t e)
{
    return dev().events.count(e) ? cudaSuccess
                                 : say(cudaErrorInvalidResourceHandle, "no such event");
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    entry here;
    TRY(find_event(e));
    dev().events.erase(e);
    delete e;
    return done(dev().fault);
}

static double seconds()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t stream)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    TRY(find_event(e));
    if (is_capturing(s)) { /* forks of a capture are not emulated */
        s->capture = cudaStreamCaptureStatusInvalidated;
        return done(say(cudaErrorStreamCaptureUnsupported, "an event in a capture"));
    }
    uint64_t number = ++e->asked;
    e->recorded = true;
    e->stream = s;
    return done(enqueue(s, [=] {
        if (dev().events.count(e)) {
            e->done = number;
            e->at = seconds();
        }
    }));
}

static bool has_happened(cudaEvent_t e, uint64_t number)
{
    return !dev().events.count(e) || e->done >= number;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    ENTER();
    TRY(find_event(e));
    TRY(unsafe("cudaEventSynchronize"));
    FAIL_IF("sync", cudaErrorLaunchFailure);
    uint64_t number = e->asked;
    if (e->stream)
        TRY(run({ e->stream }, [=] { return has_happened(e, number); }));
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    ENTER();
    TRY(find_event(e));
    TRY(unsafe("cudaEventQuery"));
    if (has_happened(e, e->asked))
        return cudaSuccess;
    size_t n = e->stream->queue.size();
    TRY(run({ e->stream }, [=] { return e->stream->queue.size() < n; }));
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    ENTER();
    TRY(find_event(from));
    TRY(find_event(to));
    if (!from->timed || !to->timed || !from->recorded || !to->recorded)
        return done(say(cudaErrorInvalidResourceHandle, "time of an event that has none"));
    if (from->done < from->asked || to->done < to->asked)
        return done(cudaErrorNotReady);
    *ms = static_cast<float>((to->at - from->at) * 1e3);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t e, unsigned)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    TRY(find_event(e));
    uint64_t number = e->asked;
    cudaStream_t other = e->stream;
    if (!other || other == s)
        return cudaSuccess;
    if (is_capturing(s)) {
        s->capture = cudaStreamCaptureStatusInvalidated;
        return done(say(cudaErrorStreamCaptureUnsupported, "an event in a capture"));
    }
    return done(enqueue(s, [=] {
        if (other == &dev().legacy || dev().streams.count(other))
            run_until(other, [=] { return has_happened(e, number); });
    }));
}

/* ---- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    CUstream_st *found;
    ENTER();
    TRY(find(s, &found));
    FAIL_IF("capture", cudaErrorUnknown);
    if (!s)
        return done(say(cudaErrorStreamCaptureUnsupported, "a capture of stream 0"));
    if (s->capture != cudaStreamCaptureStatusNone)
        return done(say(cudaErrorIllegalState, "the stream is being captured already"));
    s->capture = cudaStreamCaptureStatusActive;
    s->mode = mode;
    s->captured_by = std::this_thread::get_id();
    s->graph.reset(new CUgraph_st);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out)
{
    CUstream_st *found;
    *out = nullptr;
    ENTER();
    TRY(find(s, &found));
    if (found->capture == cudaStreamCaptureStatusNone)
        return done(say(cudaErrorIllegalState, "the stream is not being captured"));
    if (s->mode != cudaStreamCaptureModeRelaxed && s->captured_by != std::this_thread::get_id())
        return done(say(cudaErrorStreamCaptureWrongThread, "a capture ends on its own thread"));
    bool good = is_capturing(s);
    std::unique_ptr<CUgraph_st> graph = std::move(s->graph);
    s->capture = cudaStreamCaptureStatusNone;
    FAIL_IF("capture", cudaErrorUnknown);
    if (!good)
        return done(cudaErrorStreamCaptureInvalidated);
    *out = graph.release();
    dev().graphs.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *out)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    *out = s->capture;
    return cudaSuccess;
}

static cudaError_t find_graph(cudaGraph_t g)
{
    return dev().graphs.count(g) ? cudaSuccess : say(cudaErrorInvalidValue, "no such graph");
}

cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n)
{
    ENTER();
    TRY(find_graph(g));
    if (nodes)
        return done(say(cudaErrorInvalidValue, "nodes of a graph are counted only"));
    *n = g->nodes.size();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long)
{
    *out = nullptr;
    ENTER();
    TRY(find_graph(g));
    FAIL_IF("instantiate", cudaErrorMemoryAllocation);
    *out = new CUgraphExec_st{ std::make_shared<const std::vector<work>>(g->nodes) };
    dev().execs.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t g,
                                          unsigned long long flags)
{
    return cudaGraphInstantiate(out, g, flags);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t stream)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    if (!dev().execs.count(x))
        return done(say(cudaErrorInvalidValue, "cudaGraphLaunch: no such graph"));
    FAIL_IF("graph_launch", cudaErrorUnknown);
    auto nodes = x->nodes; /* outlives the graph where that is destroyed first */
    return done(enqueue(s, [nodes] {
        for (const work &w : *nodes) {
            if (dev().fault != cudaSuccess)
                return;
            w();
        }
    }));
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    entry here;
    TRY(find_graph(g));
    dev().graphs.erase(g);
    delete g;
    return done(dev().fault);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x)
{
    entry here;
    if (!dev().execs.erase(x))
        return done(say(cudaErrorInvalidValue, "cudaGraphExecDestroy: no such graph"));
    delete x;
    return done(dev().fault);
}
