/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated device's state: its streams' queues, when they run, and what tests steer.
 */
#include "tests/cuda/state.h"

namespace emulated
{

thread_local cudaError_t last_error;
thread_local int device_of_thread;

state::state()
{
    for (const char *k : { "alloc", "host_alloc", "launch", "copy", "capture", "instantiate",
                           "graph_launch", "sync", "stream", "cudnn", "cublas" })
        hooks[k] = hook{};
    if (const char *v = getenv("GEN_EMULATED_DEVICES"))
        devices = atoi(v);
    if (const char *v = getenv("GEN_EMULATED_MEMORY"))
        memory = strtoull(v, nullptr, 10);
    const char *v = getenv("GEN_EMULATED_FAIL");
    const char *colon = v ? strchr(v, ':') : nullptr;
    if (colon && hooks.count(std::string(v, colon)))
        hooks[std::string(v, colon)].fail_at = atol(colon + 1);
    else if (v)
        fprintf(stderr, "GEN_EMULATED_FAIL=%s: expected kind:n\n", v);
}

state &dev()
{
    static state *s = new state; /* never destroyed: libraries may close behind us */
    return *s;
}

cudaError_t say(cudaError_t e, const std::string &why)
{
    fprintf(stderr, "emulated CUDA: %s: %s\n", cudaGetErrorName(e), why.c_str());
    return e;
}

cudaError_t done(cudaError_t e)
{
    if (e != cudaSuccess)
        last_error = e;
    return e;
}

void fault(cudaError_t e, const std::string &why)
{
    say(e, why);
    if (dev().fault == cudaSuccess)
        dev().fault = e;
    dev().legacy.queue.clear();
    for (cudaStream_t s : dev().streams)
        s->queue.clear();
}

/* ---- queued work ----------------------------------------------------------------------------- */

cudaError_t find(cudaStream_t s, CUstream_st **out)
{
    *out = s ? s : &dev().legacy;
    if (s && !dev().streams.count(s))
        return say(cudaErrorInvalidResourceHandle, "no such stream");
    if (s && s->device != device_of_thread)
        return say(cudaErrorInvalidResourceHandle, "the stream is another device's");
    return cudaSuccess;
}

bool is_capturing(const CUstream_st *s)
{
    return s->capture == cudaStreamCaptureStatusActive;
}

cudaError_t unsafe(const char *call)
{
    bool bad = false;
    for (cudaStream_t s : dev().streams)
        if (is_capturing(s) && (s->mode == cudaStreamCaptureModeGlobal ||
                                s->captured_by == std::this_thread::get_id())) {
            s->capture = cudaStreamCaptureStatusInvalidated;
            bad = true;
        }
    return bad ? say(cudaErrorStreamCaptureUnsupported, std::string(call) + " during a capture")
               : cudaSuccess;
}

cudaError_t enqueue(CUstream_st *s, work w)
{
    if (s->capture == cudaStreamCaptureStatusInvalidated)
        return cudaErrorStreamCaptureInvalidated;
    if (is_capturing(s))
        s->graph->nodes.push_back(std::move(w));
    else
        s->queue.push_back(std::move(w));
    return cudaSuccess;
}

void run_first(CUstream_st *s)
{
    work w = std::move(s->queue.front());
    s->queue.pop_front();
    w();
}

void run_until(CUstream_st *s, const std::function<bool()> &enough)
{
    while (dev().fault == cudaSuccess && !s->queue.empty() && !enough())
        run_first(s);
}

cudaError_t run(const std::vector<CUstream_st *> &streams, const std::function<bool()> &enough)
{
    memory_open open;
    dev().working = true;
    for (CUstream_st *s : streams)
        run_until(s, enough);
    dev().working = false;
    std::string damage = memory_damage();
    if (!damage.empty())
        fault(cudaErrorIllegalAddress, damage);
    return dev().fault;
}

bool never()
{
    return false;
}

std::vector<CUstream_st *> with_blocking(CUstream_st *s)
{
    std::vector<CUstream_st *> all;
    if (s == &dev().legacy)
        for (cudaStream_t t : dev().streams)
            if (t->blocking)
                all.push_back(t);
    all.push_back(s);
    return all;
}

std::vector<CUstream_st *> all_streams()
{
    std::vector<CUstream_st *> all(dev().streams.begin(), dev().streams.end());
    all.push_back(&dev().legacy);
    return all;
}

} // namespace emulated

using namespace emulated;

/* ---- steering -------------------------------------------------------------------------------- */

int emulated_failing(const char *what)
{
    entry here;
    auto it = dev().hooks.find(what);
    if (it == dev().hooks.end()) {
        fprintf(stderr, "emulated CUDA: no kind of call is named %s\n", what);
        abort();
    }
    it->second.calls++;
    return it->second.fail_at > 0 && --it->second.fail_at == 0;
}

void emulated_fail(const char *what, long nth)
{
    entry here;
    if (!dev().hooks.count(what)) {
        fprintf(stderr, "emulated CUDA: no kind of call is named %s\n", what);
        abort();
    }
    dev().hooks[what].fail_at = nth;
}

long emulated_count(const char *what)
{
    entry here;
    auto it = dev().hooks.find(what);
    return it == dev().hooks.end() ? -1 : it->second.calls;
}

void emulated_set_memory(uint64_t bytes)
{
    entry here;
    dev().memory = bytes;
}

void emulated_devices(int n)
{
    entry here;
    dev().devices = n;
}

uint64_t emulated_live_bytes(void)
{
    entry here;
    return memory_live();
}

long emulated_live_objects(void)
{
    entry here;
    return memory_count() + pinned_count() +
           static_cast<long>(dev().streams.size() + dev().events.size() + dev().graphs.size() +
                             dev().execs.size());
}

long emulated_waiting(void)
{
    entry here;
    long n = 0;
    for (CUstream_st *s : all_streams())
        n += static_cast<long>(s->queue.size());
    return n;
}

void emulated_revive(void)
{
    entry here;
    dev().fault = cudaSuccess;
    last_error = cudaSuccess;
}

int emulated_owns(const void *p, uint64_t bytes)
{
    entry here;
    return memory_holds(p, bytes) != 0;
}

void emulated_fault(const char *why)
{
    entry here;
    fault(cudaErrorIllegalAddress, why);
}
