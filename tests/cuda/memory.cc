/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the emulated device: pages of one range, reserved once, that the host may touch only
 * while the device works. Around each allocation lies a margin of a known pattern.
 */
#include "tests/cuda/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iterator>
#include <map>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace
{

enum { PAGE = 4096, MARGIN = 512, FILL = 0xff, MOST_CLOSED = 1 << 20 };
const uint64_t RANGE = uint64_t(64) << 30; /* addresses, not memory */

struct allocation {
    uint64_t bytes, span; /* asked for; whole pages, margins too */
    uint64_t number;
};

struct {
    char *base = nullptr;
    uint64_t used = 0, next = 0; /* highest byte ever given out; where the search begins */
    uint64_t live = 0, numbers = 0;
    int open = 0;
    bool closed = true;                     /* to the host, as all of it is at first */
    std::map<uint64_t, allocation> all;     /* by offset of the first page */
    std::map<uint64_t, uint64_t> offset_of; /* number to it */
} device;

std::map<const char *, allocation> pinned;
std::map<uint64_t, const char *> pinned_at;
uint64_t pinned_numbers;

bool reserve()
{
    if (device.base)
        return true;
    /* Far from stacks, heaps and libraries: what stands in the padding of an argument must not look
     * like an address of the device. */
    void *away = reinterpret_cast<void *>(UINT64_C(0x2bad00000000));
    void *p = mmap(away, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    device.base = static_cast<char *>(p);
    return true;
}

void protect(uint64_t at, uint64_t bytes, int how)
{
    if (bytes && mprotect(device.base + at, bytes, how) != 0)
        abort();
}

/* NaNs in f32 and in bf16, other ones beside each allocation and at each place, so that a copy of
 * one margin into another shows too. */
uint32_t pattern(uint64_t number, uint64_t at)
{
    uint64_t h = (number * 2654435761u + at) * 0x9e3779b97f4a7c15u;
    return 0xffc0ffc0u | (static_cast<uint32_t>(h >> 32) & 0x003f003fu);
}

/* Both margins, byte by byte: f(address, expected). */
template <class F> void margins(uint64_t page, const allocation &a, F f)
{
    char *p = device.base + page;
    for (uint64_t i = 0; i < 2 * MARGIN; i++) {
        uint64_t at = i < MARGIN ? i : i + a.bytes;
        f(p + at, static_cast<unsigned char>(pattern(a.number, at / 4) >> (at % 4 * 8)));
    }
}

/* The first page of `span` free bytes, or RANGE. */
uint64_t find_room(uint64_t span)
{
    for (uint64_t from : { device.next, uint64_t(0) }) {
        auto it = device.all.lower_bound(from);
        if (it != device.all.begin()) {
            auto before = std::prev(it);
            if (before->first + before->second.span > from)
                from = before->first + before->second.span;
        }
        for (; it != device.all.end() && it->first - from < span; ++it)
            from = it->first + it->second.span;
        if (from + span <= RANGE)
            return from;
    }
    return RANGE;
}

} // namespace

memory_open::memory_open()
{
    if (device.open++ == 0 && device.closed)
        protect(0, device.used, PROT_READ | PROT_WRITE);
    device.closed = false;
}

/* Opening and closing takes time with each page that is in use. */
memory_open::~memory_open()
{
    if (--device.open > 0 || device.live > MOST_CLOSED)
        return;
    protect(0, device.used, PROT_NONE);
    device.closed = true;
}

void *memory_alloc(uint64_t bytes, uint64_t limit)
{
    if (bytes > RANGE / 2 || bytes > limit || device.live + bytes > limit || !reserve())
        return nullptr;
    uint64_t span = (bytes + 2 * MARGIN + PAGE - 1) / PAGE * PAGE;
    uint64_t at = find_room(span);
    if (at == RANGE)
        return nullptr;
    allocation a = { bytes, span, ++device.numbers };
    device.all[at] = a;
    device.offset_of[a.number] = at;
    device.live += bytes;
    device.next = at + span;
    if (device.used < at + span)
        device.used = at + span;
    protect(at, span, PROT_READ | PROT_WRITE);
    char *p = device.base + at;
    ASAN_UNPOISON_MEMORY_REGION(p, span);
    memset(p + MARGIN, FILL, bytes);
    margins(at, a, [](char *q, unsigned char c) { *q = static_cast<char>(c); });
    ASAN_POISON_MEMORY_REGION(p, MARGIN);
    ASAN_POISON_MEMORY_REGION(p + MARGIN + bytes, span - MARGIN - bytes);
    if (device.closed)
        protect(at, span, PROT_NONE);
    return p + MARGIN;
}

static std::string damage(uint64_t page, const allocation &a)
{
    std::string found;
#ifndef __SANITIZE_ADDRESS__ /* which sees it itself, when it happens */
    int64_t first = 0;
    bool bad = false;
    const char *data = device.base + page + MARGIN;
    margins(page, a, [&](char *q, unsigned char c) {
        if (!bad && static_cast<unsigned char>(*q) != c) {
            bad = true;
            first = q - data;
        }
    });
    if (bad)
        found = "byte " + std::to_string(first) + " of an allocation of " +
                std::to_string(a.bytes) + " was written";
#else
    (void)page, (void)a;
#endif
    return found;
}

std::string memory_damage()
{
    memory_open open;
    for (auto &it : device.all) {
        std::string found = damage(it.first, it.second);
        if (!found.empty())
            return found;
    }
    return "";
}

std::string memory_free(void *p, bool *freed)
{
    *freed = false;
    uint64_t at = static_cast<uint64_t>(static_cast<char *>(p) - device.base) - MARGIN;
    auto it = memory_on_device(p) ? device.all.find(at) : device.all.end();
    if (it == device.all.end())
        return "no allocation begins there, or it is freed already";
    allocation a = it->second;
    std::string found;
    {
        memory_open open;
        found = damage(at, a);
    }
    madvise(device.base + at, a.span, MADV_DONTNEED);
    ASAN_POISON_MEMORY_REGION(device.base + at, a.span);
    device.live -= a.bytes;
    device.offset_of.erase(a.number);
    device.all.erase(it);
    *freed = true;
    return found;
}

uint64_t memory_live()
{
    return device.live;
}

long memory_count()
{
    return static_cast<long>(device.all.size());
}

bool memory_on_device(const void *p)
{
    const char *c = static_cast<const char *>(p);
    return device.base && c >= device.base && c < device.base + RANGE;
}

uint64_t memory_holds(const void *p, uint64_t bytes)
{
    if (!memory_on_device(p))
        return 0;
    uint64_t at = static_cast<uint64_t>(static_cast<const char *>(p) - device.base);
    auto it = device.all.upper_bound(at);
    if (it == device.all.begin())
        return 0;
    --it;
    uint64_t from = it->first + MARGIN, end = from + it->second.bytes;
    return at >= from && at <= end && bytes <= end - at ? it->second.number : 0;
}

bool memory_is_live(uint64_t number)
{
    return device.offset_of.count(number) > 0;
}

/* ---- pinned memory --------------------------------------------------------------------------- */

void *pinned_alloc(uint64_t bytes)
{
    char *p = static_cast<char *>(aligned_alloc(64, (bytes + 64) / 64 * 64));
    if (!p)
        return nullptr;
    memset(p, FILL, bytes);
    pinned[p] = allocation{ bytes, 0, ++pinned_numbers };
    pinned_at[pinned_numbers] = p;
    return p;
}

bool pinned_free(void *p)
{
    auto it = pinned.find(static_cast<char *>(p));
    if (it == pinned.end())
        return false;
    pinned_at.erase(it->second.number);
    pinned.erase(it);
    free(p);
    return true;
}

long pinned_count()
{
    return static_cast<long>(pinned.size());
}

uint64_t pinned_holds(const void *p, uint64_t bytes)
{
    const char *c = static_cast<const char *>(p);
    auto it = pinned.upper_bound(c);
    if (it == pinned.begin())
        return 0;
    --it;
    uint64_t in = static_cast<uint64_t>(c - it->first);
    return in <= it->second.bytes && bytes <= it->second.bytes - in ? it->second.number : 0;
}

bool pinned_is_live(uint64_t number)
{
    return pinned_at.count(number) > 0;
}
