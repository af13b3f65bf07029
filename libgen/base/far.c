/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of one owner, in far memory or in the host's: the one place that asks which.
 */
#include "libgen/base/far.h"

#include <string.h>

#include "libgen/base/alloc.h"

gen_status gen_far_take(const gen_far *far, void **out, uint64_t bytes, const char *what)
{
    bytes = bytes ? bytes : 1;
    return far ? far->alloc(far->ctx, out, bytes, what) : gen_alloc_raw(out, bytes, 1, what);
}

gen_status gen_far_hold(const gen_far *far, void **out, uint64_t bytes, const char *what)
{
    GEN_TRY(gen_far_take(far, out, bytes, what));
    gen_status s = gen_far_clear(far, *out, bytes);
    s = s != GEN_OK ? s : gen_far_wait(far);
    if (s != GEN_OK) {
        gen_far_release(far, *out);
        *out = NULL;
    }
    return s;
}

void gen_far_release(const gen_far *far, void *p)
{
    if (far)
        far->free(p);
    else
        gen_free(p);
}

gen_status gen_far_write(const gen_far *far, void *to, const void *host, uint64_t bytes)
{
    if (far)
        return far->put(far->ctx, to, host, bytes);
    if (bytes)
        memcpy(to, host, bytes);
    return GEN_OK;
}

gen_status gen_far_read(const gen_far *far, void *host, const void *from, uint64_t bytes)
{
    return far ? far->get(far->ctx, host, from, bytes) : gen_far_write(NULL, host, from, bytes);
}

gen_status gen_far_copy(const gen_far *far, void *to, const void *from, uint64_t bytes)
{
    return far ? far->copy(far->ctx, to, from, bytes) : gen_far_write(NULL, to, from, bytes);
}

gen_status gen_far_clear(const gen_far *far, void *p, uint64_t bytes)
{
    if (far)
        return far->zero(far->ctx, p, bytes);
    if (bytes)
        memset(p, 0, bytes);
    return GEN_OK;
}

gen_status gen_far_wait(const gen_far *far)
{
    return far ? far->wait(far->ctx) : GEN_OK;
}

gen_status gen_far_repeat(const gen_far *far, void **recording, gen_status (*work)(void *ctx),
                          void *ctx)
{
    if (!far)
        return work(ctx);
    if (!*recording) {
        GEN_TRY(far->record(far->ctx));
        gen_status s = work(ctx);
        gen_status end = far->recorded(far->ctx, s == GEN_OK ? recording : NULL);
        GEN_TRY(s != GEN_OK ? s : end);
    }
    return far->replay(far->ctx, *recording);
}

gen_status gen_mirror_create(const gen_far *far, gen_mirror *m, uint64_t bytes, const char *what)
{
    *m = (gen_mirror){ .bytes = bytes };
    GEN_TRY(gen_far_hold(far, &m->kernel, bytes, what));
    m->host = m->kernel;
    if (!far)
        return GEN_OK;
    gen_status s = far->alloc_host(far->ctx, &m->host, bytes, what);
    if (s != GEN_OK) {
        m->host = NULL;
        gen_mirror_free(far, m);
    }
    return s;
}

void gen_mirror_free(const gen_far *far, gen_mirror *m)
{
    if (far && m->host)
        far->free_host(m->host);
    if (m->kernel)
        gen_far_release(far, m->kernel);
    *m = (gen_mirror){ 0 };
}

gen_status gen_mirror_up(const gen_far *far, const gen_mirror *m)
{
    return far ? far->upload(far->ctx, m->kernel, m->host, m->bytes) : GEN_OK;
}

gen_status gen_mirror_down(const gen_far *far, const gen_mirror *m)
{
    return far ? far->download(far->ctx, m->host, m->kernel, m->bytes) : GEN_OK;
}
