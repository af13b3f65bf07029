/* SPDX-License-Identifier: Apache-2.0
 *
 * A reader in a process of its own. HDF5 can be made to crash or to run forever by a few wrong
 * bytes in a file (1.10.8: H5HG_read, for one); what happens in a child ends as a sentence in the
 * parent.
 *
 * The child opens the file and serves frames over a socket until the socket closes:
 *   child:  status; a sentence, or the grid and times       parent: number of a frame
 *   child:  status; a sentence, or the frame                parent: number of a frame ...
 * Each answer has 30 s, which the parent measures. It checks sizes again: a child whose memory was
 * overwritten may say anything, or nothing, and stay.
 *
 * `untrusted` takes rights from the child before it opens the file: confine.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define ANSWER_SECONDS 30
#define MAX_SENTENCE 4096
#define MAX_TEXT ((uint64_t)1 << 20)
#define MAX_SIDE 65536
#define MAX_FRAMES 10000000
#define MAX_MEMBERS 100000
#define PATIENCE 1000 /* ms for a child that has closed its socket to end */

typedef struct isolated_state {
    pid_t child;
    int socket;
    int64_t until; /* ms: the answer must be here */
    bool late;
    char *format_name; /* of the reader in the child */
} isolated_state;

/* What precedes the arrays: sizes; texts have their length + 1, 0 for NULL. */
enum { TEXTS = 6 };
typedef struct grid_header {
    int64_t frames, members, reference, height, width, degrees, numbered, quantity;
    double factor, interval, zr_a, zr_b;
    uint64_t text[TEXTS];
} grid_header;

/* ---- both sides ------------------------------------------------------------------------------ */

static bool send_all(int fd, const void *data, uint64_t n)
{
    const char *p = data;
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (uint64_t)done;
    }
    return true;
}

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t answer_seconds(const gen_radar_file *f)
{
    return f->options->answer_seconds > 0 ? f->options->answer_seconds : ANSWER_SECONDS;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* Status and, for failures, the sentence. */
static bool send_status(int fd, gen_status status)
{
    int64_t head[2] = { status, 0 };
    const char *sentence = gen_last_error();
    if (status != GEN_OK)
        head[1] = (int64_t)strnlen(sentence, MAX_SENTENCE - 1);
    return send_all(fd, head, sizeof head) && send_all(fd, sentence, (uint64_t)head[1]);
}

static bool send_grid(int fd, const gen_radar_file *f)
{
    const gen_radar_grid *g = &f->grid;
    const char *const text[TEXTS] = { g->proj4, g->mapping_name, g->attributes,
                                      f->name,  f->units,        f->format->name };
    grid_header h = { .frames = f->frames,
                      .members = f->members,
                      .reference = f->reference,
                      .height = g->height,
                      .width = g->width,
                      .degrees = g->degrees,
                      .numbered = f->numbered,
                      .quantity = f->quantity,
                      .factor = f->factor,
                      .interval = f->interval,
                      .zr_a = f->zr_a,
                      .zr_b = f->zr_b };
    for (int i = 0; i < TEXTS; i++)
        h.text[i] = text[i] ? strlen(text[i]) + 1 : 0;
    bool fine = send_all(fd, &h, sizeof h) &&
                send_all(fd, f->time, (uint64_t)f->frames * sizeof *f->time) &&
                send_all(fd, g->y, (uint64_t)g->height * sizeof *g->y) &&
                send_all(fd, g->x, (uint64_t)g->width * sizeof *g->x);
    for (int i = 0; i < TEXTS && fine; i++)
        fine = send_all(fd, text[i], h.text[i]);
    return fine;
}

/* What of the parent's a child has no use for: its files, lock and other children. */
static void close_others(int fd)
{
    long most = sysconf(_SC_OPEN_MAX);
    for (int i = 3; i < (most > 0 && most < 4096 ? most : 4096); i++)
        if (i != fd)
            close(i);
}

static bool take_frame_number(int fd, int64_t *frame)
{
    ssize_t n;
    do
        n = recv(fd, frame, sizeof *frame, MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    return n == sizeof *frame;
}

static void serve(gen_radar_file *f, const unsigned char *head, size_t n, int fd)
{
    float *rain = NULL;
    int64_t frame;
    if (f->options->untrusted)
        gen_radar_confine();
    gen_status status = gen_radar_file_begin(f, head, n);
    uint64_t cells = status ? 0 : (uint64_t)(f->grid.height * f->grid.width);
    if (status == GEN_OK)
        status = gen_alloc_raw((void **)&rain, cells, sizeof *rain, "a radar frame");
    if (!send_status(fd, status) || status != GEN_OK || !send_grid(fd, f))
        return;
    for (;;) {
        if (!take_frame_number(fd, &frame))
            return;
        status = f->format->read(f, frame, rain);
        if (!send_status(fd, status) ||
            (status == GEN_OK && !send_all(fd, rain, cells * sizeof *rain)))
            return;
    }
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* The next answer has its time from now on. */
static void start_waiting(gen_radar_file *f)
{
    isolated_state *k = f->state;
    k->until = milliseconds() + 1000 * answer_seconds(f);
}

static bool receive_all(isolated_state *k, void *data, uint64_t n)
{
    char *p = data;
    while (n) {
        struct pollfd wait = { .fd = k->socket, .events = POLLIN };
        int64_t left = k->until - milliseconds();
        int ready = left > 0 ? poll(&wait, 1, (int)(left < 1000000 ? left : 1000000)) : 0;
        k->late = left <= 0;
        if (k->late)
            return false;
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready <= 0)
            continue;
        ssize_t done = recv(k->socket, p, n, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (uint64_t)done;
    }
    return true;
}

/* Ends the child, which may not want to; a moment for one that is ending, to know of what. Returns
 * how it ended, as waitpid has it, or -1. */
static int end_child(isolated_state *k, int patience)
{
    int how = -1;
    pid_t ended = 0;
    if (k->child <= 0)
        return -1;
    for (int waited = 0; waited < patience && ended == 0; waited++) {
        ended = waitpid(k->child, &how, WNOHANG);
        if (ended == 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    if (ended == 0) {
        kill(k->child, SIGKILL);
        do
            ended = waitpid(k->child, &how, 0);
        while (ended < 0 && errno == EINTR);
    }
    k->child = -1;
    return ended > 0 ? how : -1;
}

/* Why the child is silent. */
static gen_status child_failed(gen_radar_file *f)
{
    isolated_state *k = f->state;
    bool late = k->late;
    int how = end_child(k, late ? 0 : PATIENCE);
    k->until = 0; /* there will be no further answer */
    if (late)
        return gen_fail(GEN_EDATA, "'%s' is damaged: reading it takes more than %lld s", f->path,
                        (long long)answer_seconds(f));
    if (how >= 0 && WIFSIGNALED(how) && (WTERMSIG(how) == SIGINT || WTERMSIG(how) == SIGTERM))
        return gen_fail(GEN_ECANCELED, "reading '%s' was interrupted", f->path);
    return gen_fail(GEN_EDATA, "'%s' is damaged: the library that reads it fails on it", f->path);
}

static gen_status receive_status(gen_radar_file *f)
{
    isolated_state *k = f->state;
    int64_t head[2];
    char sentence[MAX_SENTENCE] = "";
    if (!receive_all(k, head, sizeof head) || head[1] < 0 || head[1] >= MAX_SENTENCE ||
        !receive_all(k, sentence, (uint64_t)head[1]))
        return child_failed(f);
    if (head[0] == GEN_OK)
        return GEN_OK;
    if (!sentence[0])
        return child_failed(f);
    return gen_fail(head[0] < 0 && head[0] > -100 ? (gen_status)head[0] : GEN_EDATA, "%s",
                    sentence);
}

static gen_status receive_text(gen_radar_file *f, uint64_t n, char **out)
{
    isolated_state *k = f->state;
    if (n == 0)
        return GEN_OK;
    if (n > MAX_TEXT)
        return gen_fail(GEN_EDATA, "'%s' has too long texts", f->path);
    GEN_TRY(GEN_ALLOC(out, n, "text"));
    if (!receive_all(k, *out, n))
        return child_failed(f);
    (*out)[n - 1] = 0;
    return GEN_OK;
}

static gen_status receive_grid(gen_radar_file *f)
{
    isolated_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    grid_header h;
    if (!receive_all(k, &h, sizeof h))
        return child_failed(f);
    if (h.frames < 1 || h.frames > MAX_FRAMES || h.members < 1 || h.members > MAX_MEMBERS ||
        h.height < 1 || h.height > MAX_SIDE || h.width < 1 || h.width > MAX_SIDE)
        return gen_fail(GEN_EDATA, "'%s' is damaged", f->path);
    f->frames = h.frames;
    f->members = h.members;
    f->reference = h.reference;
    g->height = h.height;
    g->width = h.width;
    g->degrees = h.degrees != 0;
    f->numbered = h.numbered != 0;
    f->quantity = h.quantity >= 0 && h.quantity <= GEN_RADAR_DBZ ? (gen_radar_quantity)h.quantity
                                                                 : GEN_RADAR_OTHER;
    f->factor = h.factor;
    f->interval = h.interval;
    f->zr_a = h.zr_a;
    f->zr_b = h.zr_b;
    GEN_TRY(GEN_ALLOC(&f->time, h.frames, "times"));
    GEN_TRY(GEN_ALLOC(&g->y, h.height, "grid: y"));
    GEN_TRY(GEN_ALLOC(&g->x, h.width, "grid: x"));
    if (!receive_all(k, f->time, (uint64_t)h.frames * sizeof *f->time) ||
        !receive_all(k, g->y, (uint64_t)h.height * sizeof *g->y) ||
        !receive_all(k, g->x, (uint64_t)h.width * sizeof *g->x))
        return child_failed(f);
    char **const text[TEXTS] = { &g->proj4, &g->mapping_name, &g->attributes,
                                 &f->name,  &f->units,        &k->format_name };
    for (int i = 0; i < TEXTS; i++)
        GEN_TRY(receive_text(f, h.text[i], text[i]));
    return GEN_OK;
}

gen_status gen_radar_isolate(gen_radar_file *f, const unsigned char *head, size_t n)
{
    isolated_state *k = NULL;
    const gen_radar_format *format = f->format;
    int pair[2];
    GEN_TRY(GEN_ALLOC(&k, 1, "reading process"));
    *k = (isolated_state){ .child = -1, .socket = -1 };
    f->format = &gen_radar_isolated;
    f->state = k;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return gen_fail(GEN_EIO, "cannot make a socket: %s", strerror(errno));
    gen_netcdf_lock(); /* no other thread is inside the library while it is copied */
    k->child = fork();
    gen_netcdf_unlock();
    if (k->child == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close_others(pair[1]);
        f->state = NULL;
        f->format = format;
        serve(f, head, n, pair[1]);
        _exit(0); /* nothing of the parent's is flushed or run twice */
    }
    close(pair[1]);
    k->socket = pair[0];
    if (k->child < 0)
        return gen_fail(GEN_ENOMEM, "cannot start a process: %s", strerror(errno));
    start_waiting(f);
    GEN_TRY(receive_status(f));
    return receive_grid(f);
}

static gen_status isolated_read(gen_radar_file *f, int64_t frame, float *rain)
{
    isolated_state *k = f->state;
    start_waiting(f);
    if (!send_all(k->socket, &frame, sizeof frame))
        return child_failed(f);
    GEN_TRY(receive_status(f));
    if (!receive_all(k, rain, (uint64_t)(f->grid.height * f->grid.width) * sizeof *rain))
        return child_failed(f);
    return GEN_OK;
}

static void isolated_close(gen_radar_file *f)
{
    isolated_state *k = f->state;
    if (!k)
        return;
    if (k->socket >= 0)
        close(k->socket);
    end_child(k, 0);
    gen_free(k->format_name);
    gen_free(k);
    f->state = NULL;
}

const char *gen_radar_file_format_name(const gen_radar_file *f)
{
    const isolated_state *k = f->state;
    if (f->format != &gen_radar_isolated)
        return f->format->name;
    return k->format_name ? k->format_name : "unknown";
}

const gen_radar_format gen_radar_isolated = { .name = "isolated",
                                              .read = isolated_read,
                                              .close = isolated_close };
