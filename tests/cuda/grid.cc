/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a kernel: its blocks one after the other, the threads of a block as fibers that give way to
 * each other where they meet. A fiber runs thread after thread until one has to wait, so that
 * kernels whose threads never meet need one.
 *
 * The threads of a block begin in a scrambled order and nothing runs in lockstep, so that a missing
 * barrier shows in values; shared memory is filled with garbage before each block.
 */
#include "tests/cuda/grid.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <deque>
#include <memory>
#include <vector>

#include "tests/cuda/emulate.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

emulated_place emulated_here;

/* ---- fibers ---------------------------------------------------------------------------------- */

enum { STACK = 256 << 10, GUARD = 64 << 10, MAX_THREADS = 1024, WARP = 32 };

struct fiber {
    char *stack = nullptr; /* NULL: the one that runs the grid */
    size_t unused = 0;     /* of its top, so that fibers do not share lines of a cache */
    unsigned thread = 0;   /* which it runs */
#ifdef __x86_64__
    void *sp = nullptr;
#else
    ucontext_t context;
#endif
#ifdef __SANITIZE_ADDRESS__
    void *fake = nullptr;
    const void *bottom = nullptr;
    size_t size = 0;
#endif
#ifdef __SANITIZE_THREAD__
    void *tsan = nullptr;
#endif
};

static fiber *now, *previous;
static void fiber_main();

#ifdef __x86_64__
/* swapcontext asks the kernel for the signal mask each time; this keeps registers only. */
extern "C" void emulated_swap(void **save, void *to);
asm(".text\n"
    ".hidden emulated_swap\n"
    ".globl emulated_swap\n"
    ".type emulated_swap, @function\n"
    "emulated_swap:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
    "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n"
    "    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size emulated_swap, .-emulated_swap\n");
#endif

/* The first thing on a stack that was switched to. */
static void arrived()
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(now->fake, &previous->bottom, &previous->size);
#endif
}

static void switch_to(fiber *f)
{
    previous = now;
    now = f;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&previous->fake, f->stack ? f->stack : f->bottom,
                                   f->stack ? size_t(STACK) : f->size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
#ifdef __x86_64__
    emulated_swap(&previous->sp, f->sp);
#else
    swapcontext(&previous->context, &f->context);
#endif
    arrived();
}

/* A fiber at its beginning, whatever it was in the middle of. */
static void rewind_fiber(fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(f->stack, STACK);
    f->fake = nullptr;
#endif
#ifdef __x86_64__
    /* 16-byte aligned at the call */
    void **top = reinterpret_cast<void **>(f->stack + STACK - f->unused) - 2;
    top[0] = reinterpret_cast<void *>(fiber_main);
    f->sp = top - 6;
    memset(f->sp, 0, 6 * sizeof(void *));
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK - f->unused;
    f->context.uc_link = nullptr;
    makecontext(&f->context, fiber_main, 0);
#endif
}

static fiber *new_fiber(size_t number)
{
    char *p = static_cast<char *>(mmap(nullptr, GUARD + STACK, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (p == MAP_FAILED || mprotect(p, GUARD, PROT_NONE) != 0)
        return nullptr;
    fiber *f = new fiber;
    f->stack = p + GUARD;
    f->unused = number * 1088 % (64 << 10);
#ifdef __SANITIZE_THREAD__
    f->tsan = __tsan_create_fiber(0);
#endif
    rewind_fiber(f);
    return f;
}

/* ---- one block ------------------------------------------------------------------------------- */

struct warp {
    const char *who = nullptr;
    unsigned came = 0, turn = 0;
    std::vector<fiber *> waiting;
    emulated_value values[2][WARP]; /* a lane may be one meeting ahead of another, not two */
};

static struct {
    const std::function<void()> *thread;
    unsigned n, begun, next, step, done;
    unsigned came, turn, flags[2]; /* at the barrier */
    std::vector<fiber *> at_barrier;
    std::deque<fiber *> ready;
    std::vector<fiber *> idle;
    std::vector<std::unique_ptr<fiber>> fibers;
    fiber grid; /* what runs the grid */
    warp warps[MAX_THREADS / WARP];
    std::string wrong;
} block;

static void take_place(unsigned thread)
{
    now->thread = thread;
    emulated_here.thread.x = thread;
}

/* A fiber is rewound when a kernel went wrong, so that what it has on its stack is forgotten. */
static void fiber_main()
{
    arrived();
    for (;;) {
        while (block.begun < block.n) {
            unsigned t = block.next;
            block.begun++;
            block.next += block.step;
            if (block.next >= block.n)
                block.next -= block.n;
            take_place(t);
            (*block.thread)();
            block.done++;
        }
        block.idle.push_back(now);
        switch_to(&block.grid);
    }
}

static void wait_here()
{
    unsigned t = now->thread;
    switch_to(&block.grid);
    take_place(t);
}

static void wrong(const std::string &why)
{
    if (block.wrong.empty())
        block.wrong = why;
    switch_to(&block.grid); /* which does not come back */
    __builtin_unreachable();
}

void emulated_trap(const char *why)
{
    wrong(std::string(why) + " in thread " + std::to_string(now->thread));
    __builtin_unreachable();
}

static void release(std::vector<fiber *> &waiting)
{
    block.ready.insert(block.ready.end(), waiting.begin(), waiting.end());
    waiting.clear();
}

int emulated_barrier(int flag)
{
    unsigned turn = block.turn;
    block.flags[turn & 1] += flag != 0;
    if (++block.came < block.n) {
        block.at_barrier.push_back(now);
        wait_here();
    } else {
        block.came = 0;
        block.turn++;
        block.flags[block.turn & 1] = 0;
        release(block.at_barrier);
    }
    return static_cast<int>(block.flags[turn & 1]);
}

const emulated_value *emulated_meet(const char *who, unsigned mask, const void *p, size_t bytes)
{
    warp &w = block.warps[now->thread / WARP];
    unsigned turn = w.turn, lane = now->thread % WARP;
    if (mask != 0xffffffffu)
        emulated_trap("a mask that is not 0xffffffff");
    if (w.came && strcmp(who, w.who) != 0)
        wrong("lanes of warp " + std::to_string(now->thread / WARP) + " are at " + who +
              " and at " + w.who);
    w.who = who;
    memcpy(w.values[turn & 1][lane].bytes, p, bytes);
    if (++w.came < WARP) {
        w.waiting.push_back(now);
        wait_here();
    } else {
        w.came = 0;
        w.turn++;
        release(w.waiting);
    }
    return w.values[turn & 1];
}

/* Nobody can go on: who waits for whom. */
static std::string stuck()
{
    if (block.came)
        return "__syncthreads reached by " + std::to_string(block.came) + " of " +
               std::to_string(block.n) + " threads";
    for (unsigned i = 0; i < block.n / WARP; i++)
        if (block.warps[i].came)
            return std::string(block.warps[i].who) + " reached by " +
                   std::to_string(block.warps[i].came) + " of 32 lanes of warp " +
                   std::to_string(i);
    return "threads that wait for nothing";
}

static fiber *take_fiber()
{
    if (block.idle.empty()) {
        fiber *f = new_fiber(block.fibers.size());
        if (!f)
            return nullptr;
        block.fibers.emplace_back(f);
        return f;
    }
    fiber *f = block.idle.back();
    block.idle.pop_back();
    return f;
}

static bool run_block()
{
    block.begun = block.done = block.came = block.turn = block.flags[0] = 0;
    block.step = 37 % block.n; /* prime, and n a multiple of 32 below 37 * 32: each has its turn */
    block.next = 17 % block.n;
    while (block.done < block.n) {
        fiber *f = nullptr;
        if (block.begun < block.n) {
            f = take_fiber();
        } else if (!block.ready.empty()) {
            f = block.ready.front();
            block.ready.pop_front();
        }
        if (!f)
            block.wrong = stuck();
        else
            switch_to(f);
        if (!block.wrong.empty())
            return false;
    }
    return true;
}

static void forget_block()
{
    block.idle.clear();
    block.ready.clear();
    block.at_barrier.clear();
    for (auto &f : block.fibers) {
        rewind_fiber(f.get());
        block.idle.push_back(f.get());
    }
    for (warp &w : block.warps) {
        w.came = 0;
        w.waiting.clear();
    }
}

/* ---- shared memory --------------------------------------------------------------------------- */

extern "C" {
extern char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));
}

enum { GARBAGE = 0xff }; /* a NaN in every floating-point format, -1 in whole numbers */

/* The part of it that a kernel writes, found behind its first block: all else belongs to other
 * kernels and stays as it is. */
struct extent {
    char *begin, *end;
};

static extent all_shared()
{
    char *begin = __start_emulated_shared, *end = __stop_emulated_shared;
    asm("" : "+r"(begin), "+r"(end)); /* two symbols, one object */
    return extent{ begin, end };
}

static extent written(extent e)
{
    while (e.begin < e.end && static_cast<unsigned char>(*e.begin) == GARBAGE)
        e.begin++;
    while (e.begin < e.end && static_cast<unsigned char>(e.end[-1]) == GARBAGE)
        e.end--;
    return e;
}

static void fill(extent e)
{
    if (e.begin < e.end)
        memset(e.begin, GARBAGE, static_cast<size_t>(e.end - e.begin));
}

/* ---- the grid -------------------------------------------------------------------------------- */

static std::string text_of(uint3 b)
{
    return "block (" + std::to_string(b.x) + ", " + std::to_string(b.y) + ", " +
           std::to_string(b.z) + ")";
}

std::string emulated_run_grid(dim3 grid, dim3 threads, bool backwards,
                              const std::function<void()> &thread)
{
    uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
    extent shared = all_shared();
    now = &block.grid;
#ifdef __SANITIZE_THREAD__
    block.grid.tsan = __tsan_get_current_fiber();
#endif
    block.thread = &thread;
    block.n = threads.x;
    block.wrong.clear();
    emulated_here.block_dim = threads;
    emulated_here.grid_dim = grid;
    emulated_here.thread = uint3{ 0, 0, 0 };
    fill(shared);
    for (uint64_t k = 0; k < blocks; k++) {
        uint64_t i = backwards ? blocks - 1 - k : k;
        emulated_here.block.x = static_cast<unsigned>(i % grid.x);
        emulated_here.block.y = static_cast<unsigned>(i / grid.x % grid.y);
        emulated_here.block.z = static_cast<unsigned>(i / grid.x / grid.y);
        if (k > 0)
            fill(shared);
        if (!run_block()) {
            forget_block();
            return block.wrong + ", " + text_of(emulated_here.block);
        }
        if (k == 0)
            shared = written(shared);
    }
    return "";
}
