/* SPDX-License-Identifier: Apache-2.0
 *
 * State of the emulated device, and what its functions have in common.
 */
#ifndef LIBGEN_TESTS_CUDA_STATE_H
#define LIBGEN_TESTS_CUDA_STATE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/cuda/emulate.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/memory.h"

typedef std::function<void()> work;

struct CUgraph_st {
    std::vector<work> nodes;
};
struct CUgraphExec_st {
    std::shared_ptr<const std::vector<work>> nodes;
};
struct CUevent_st {
    bool timed, recorded;
    cudaStream_t stream;  /* of the last record */
    uint64_t asked, done; /* number of the last record, and of the last that happened */
    double at;
};
struct CUstream_st {
    bool blocking;
    std::deque<work> queue;
    cudaStreamCaptureStatus capture;
    cudaStreamCaptureMode mode;
    std::thread::id captured_by;
    std::unique_ptr<CUgraph_st> graph;
    int device = 0;
};

namespace emulated
{

struct hook {
    long calls = 0, fail_at = 0;
};

struct state {
    std::recursive_mutex lock;
    std::map<std::string, hook> hooks;
    int devices = 1;
    uint64_t memory = uint64_t(2) << 30;
    cudaError_t fault = cudaSuccess; /* what every call answers from then on */
    bool working = false;            /* queued work runs */
    uint64_t launches = 0;
    CUstream_st legacy{ true, {}, cudaStreamCaptureStatusNone, {}, {}, nullptr }; /* stream 0 */
    std::set<cudaStream_t> streams;
    std::set<cudaEvent_t> events;
    std::set<cudaGraph_t> graphs;
    std::set<cudaGraphExec_t> execs;

    state();
};

state &dev();
extern thread_local cudaError_t last_error;
extern thread_local int device_of_thread; /* cudaSetDevice's */

/* Prints why and returns e. */
cudaError_t say(cudaError_t e, const std::string &why);
/* Remembers e as the last error. */
cudaError_t done(cudaError_t e);
/* The device is lost; nothing that is queued happens any more. */
void fault(cudaError_t e, const std::string &why);

struct entry { /* of every function */
    std::unique_lock<std::recursive_mutex> held{ dev().lock };

    /* Whether a call may go on at all. */
    cudaError_t may() const
    {
        if (dev().working)
            return say(cudaErrorNotPermitted, "CUDA called from inside queued work");
        if (dev().devices <= 0)
            return dev().devices < 0 ? cudaErrorInsufficientDriver : cudaErrorNoDevice;
        return dev().fault;
    }
};

#define ENTER()                                                                                    \
    entry here;                                                                                    \
    do {                                                                                           \
        cudaError_t may_ = here.may();                                                             \
        if (may_ != cudaSuccess)                                                                   \
            return done(may_);                                                                     \
    } while (0)
#define FAIL_IF(kind, error)                                                                       \
    do {                                                                                           \
        if (emulated_failing(kind))                                                                \
            return done(error);                                                                    \
    } while (0)
#define TRY(x)                                                                                     \
    do {                                                                                           \
        cudaError_t try_ = (x);                                                                    \
        if (try_ != cudaSuccess)                                                                   \
            return done(try_);                                                                     \
    } while (0)

/* ---- streams (state.cc) ---------------------------------------------------------------------- */

cudaError_t find(cudaStream_t s, CUstream_st **out);
bool is_capturing(const CUstream_st *s);
/* A call that no capture of this thread may see, nor, of a global capture, any thread. */
cudaError_t unsafe(const char *call);

cudaError_t enqueue(CUstream_st *s, work w);
void run_until(CUstream_st *s, const std::function<bool()> &enough);
/* Everything of `streams` up to where it is enough; then whether anything was written beside its
 * allocation. */
cudaError_t run(const std::vector<CUstream_st *> &streams, const std::function<bool()> &enough);
bool never();
/* A wait for stream 0 waits for the streams that it blocks. */
std::vector<CUstream_st *> with_blocking(CUstream_st *s);
std::vector<CUstream_st *> all_streams();

/* Allocations that work will touch: they must be there when it runs. */
struct touched {
    std::vector<uint64_t> far, pinned;

    bool is_live() const
    {
        return std::all_of(far.begin(), far.end(), memory_is_live) &&
               std::all_of(pinned.begin(), pinned.end(), pinned_is_live);
    }
};

} // namespace emulated

#endif
