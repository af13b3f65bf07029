/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers in processes of their own, whatever they do: take memory without end, never answer,
 * refuse to die, lie, write and remove files, start processes, use the network. The parent gets a
 * sentence, and nothing outside is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

static char folder[] = "/tmp/gen-isolate-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void close_nothing(gen_radar_file *f)
{
    (void)f;
}

/* Opens a file by `open` in a child; the sentence is in gen_last_error. */
static gen_status open_by(gen_radar_file **out, gen_status (*open_it)(gen_radar_file *),
                          gen_status (*read_it)(gen_radar_file *, int64_t, float *), bool untrusted)
{
    static gen_radar_format format;
    static gen_radar_read_options options;
    gen_radar_file *f = NULL;
    format = (gen_radar_format){
        .name = "test", .open = open_it, .read = read_it, .close = close_nothing
    };
    options = (gen_radar_read_options){ .untrusted = untrusted, .answer_seconds = 1 };
    assert_int_equal(GEN_ALLOC(&f, 1, "test"), GEN_OK);
    assert_int_equal(gen_strdup(&f->path, "some.h5"), GEN_OK);
    f->format = &format;
    f->options = &options;
    gen_status status = gen_radar_isolate(f, NULL, 0);
    if (out)
        *out = f;
    else
        gen_radar_file_close(&f);
    return status;
}

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

static bool no_child_is_left(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* ---- time -------------------------------------------------------------------------------- */

static gen_status spin(gen_radar_file *f)
{
    (void)f;
    for (volatile unsigned i = 0;; i++) {
    }
    return GEN_OK;
}

static gen_status spin_stubbornly(gen_radar_file *f)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return spin(f);
}

/* Closes its end of the socket, so that it seems to have ended, and stays. */
static gen_status spin_silently(gen_radar_file *f)
{
    for (int i = 3; i < 64; i++)
        close(i);
    return spin_stubbornly(f);
}

static gen_status open_one_frame(gen_radar_file *f)
{
    f->frames = 1;
    f->grid.height = f->grid.width = 2;
    GEN_TRY(GEN_ALLOC(&f->time, 1, "test"));
    GEN_TRY(GEN_ALLOC(&f->grid.y, 2, "test"));
    return GEN_ALLOC(&f->grid.x, 2, "test");
}

static gen_status spin_reading(gen_radar_file *f, int64_t frame, float *rain)
{
    (void)frame;
    (void)rain;
    return spin_stubbornly(f);
}

static void an_answer_has_its_time(void **state)
{
    (void)state;
    gen_radar_file *f = NULL;
    float rain[4];
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        expect_sentence(open_by(NULL, spin, NULL, untrusted), GEN_EDATA,
                        "'some.h5' is damaged: reading it takes more than 1 s");
        expect_sentence(open_by(NULL, spin_stubbornly, NULL, untrusted), GEN_EDATA,
                        "takes more than 1 s");
        expect_sentence(open_by(NULL, spin_silently, NULL, untrusted), GEN_EDATA,
                        "'some.h5' is damaged");
        assert_int_equal(open_by(&f, open_one_frame, spin_reading, untrusted), GEN_OK);
        expect_sentence(f->format->read(f, 0, rain), GEN_EDATA, "takes more than 1 s");
        expect_sentence(f->format->read(f, 0, rain), GEN_EDATA, "is damaged");
        gen_radar_file_close(&f);
        assert_true(no_child_is_left());
    }
}

/* Closing a file does not wait for a child that does something else. */
static void closing_does_not_wait(void **state)
{
    (void)state;
    gen_radar_file *f[5] = { NULL };
    for (int i = 0; i < 5; i++)
        assert_int_equal(open_by(&f[i], open_one_frame, spin_reading, true), GEN_OK);
    for (int i = 0; i < 5; i++)
        gen_radar_file_close(&f[i]);
    assert_true(no_child_is_left());
}

/* ---- memory ------------------------------------------------------------------------------ */

static gen_status allocate_for_ever(gen_radar_file *f)
{
    (void)f;
    int n = 0;
    while (n < 1000000 && malloc((size_t)64 << 20)) /* address space: nothing is touched */
        n++;
    return gen_fail(GEN_ENOMEM, "%s after %d MB", n < 64 ? "refused" : "given", 64 * n);
}

static void memory_ends(void **state)
{
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* they reserve terabytes: the limit is not set */
#endif
    expect_sentence(open_by(NULL, allocate_for_ever, NULL, true), GEN_ENOMEM, "refused after");
    assert_true(no_child_is_left());
}

/* ---- lies -------------------------------------------------------------------------------- */

static int find_socket(void)
{
    struct stat info;
    for (int i = 3; i < 4096; i++)
        if (fstat(i, &info) == 0 && S_ISSOCK(info.st_mode))
            return i;
    return -1;
}

/* What a child says whose memory a file has overwritten. */
static const int64_t lies[][14] = {
    { 0, 1 << 30 },                                  /* a sentence of 1 GB */
    { 0, -5 },                                       /* and of less than nothing */
    { 0, 0, INT64_MAX, 1, 0, INT64_MAX, INT64_MAX }, /* sizes */
    { 0, 0, 1, 1, 0, -1, 3 },
    { 0, 0, 0, 1, 0, 2, 2 },
    { 0, 0, 1, 1 << 30, 0, 2, 2 },
    { 12345, 0 }, /* no status */
};
static int lie;

static gen_status tell_a_lie(gen_radar_file *f)
{
    (void)f;
    send(find_socket(), lies[lie], sizeof lies[lie], 0);
    _exit(0);
}

static void a_child_may_lie(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    for (lie = 0; lie < GEN_LEN(lies); lie++) {
        gen_status status = open_by(NULL, tell_a_lie, NULL, true);
        assert_true(status == GEN_EDATA && gen_last_error()[0]);
        assert_int_equal(gen_alloc_bytes(), before);
        assert_true(gen_alloc_peak() < ((uint64_t)1 << 28));
    }
    assert_true(no_child_is_left());
}

/* ---- rights ------------------------------------------------------------------------------ */

/* The kernel filters calls: tried in a child, because a filter stays. */
static bool calls_can_be_filtered(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { .len = 1, .filter = &allow };
    int how = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
              prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
    waitpid(child, &how, 0);
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static bool can_run(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0;
}

static bool can_open(const char *name, int how)
{
    int fd = open(in_folder(name), how, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Tries what a reader has no business with, and says what worked. */
static gen_status try_everything(gen_radar_file *f)
{
    (void)f;
    char could[1000] = "", *const words[] = { "true", NULL };
    struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
    const struct {
        const char *name;
        bool worked;
    } tried[] = {
        { "create", can_open("new", O_WRONLY | O_CREAT) },
        { "open to write", can_open("there", O_RDWR) },
        { "truncate",
          can_open("there", O_RDONLY | O_TRUNC) || truncate(in_folder("there"), 0) == 0 },
        { "remove", unlink(in_folder("there")) == 0 || remove(in_folder("there")) == 0 },
        { "rename", rename(in_folder("there"), in_folder("moved")) == 0 },
        { "link", link(in_folder("there"), in_folder("linked")) == 0 },
        { "make a folder", mkdir(in_folder("sub"), 0700) == 0 },
        { "change rights", chmod(in_folder("there"), 0777) == 0 },
        { "write", write(STDERR_FILENO, "", 1) == 1 },
        { "fork", can_run() },
        { "execute", execv("/bin/true", words) == 0 },
        { "signal", kill(getppid(), 0) == 0 },
        { "use the network", socket(AF_INET, SOCK_STREAM, 0) >= 0 },
        { "raise limits", setrlimit(RLIMIT_FSIZE, &l) == 0 },
    };
    for (int i = 0; i < GEN_LEN(tried); i++)
        if (tried[i].worked) {
            strcat(could, could[0] ? ", " : "");
            strcat(could, tried[i].name);
        }
    bool reads = can_open("there", O_RDONLY) && getrlimit(RLIMIT_FSIZE, &l) == 0;
    return gen_fail(GEN_EDATA, "could: %s; %s", could[0] ? could : "nothing",
                    reads ? "reads" : "cannot read");
}

static gen_status give_up(gen_radar_file *f)
{
    (void)f;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void an_untrusted_reader_has_no_rights(void **state)
{
    (void)state;
    struct stat info;
    FILE *f = fopen(in_folder("there"), "wb");
    assert_non_null(f);
    fputs("mine", f);
    fclose(f);
    assert_int_equal(chmod(in_folder("there"), 0600), 0);
    if (!calls_can_be_filtered())
        skip();
    expect_sentence(open_by(NULL, try_everything, NULL, true), GEN_EDATA, "could: nothing; reads");
    assert_true(stat(in_folder("there"), &info) == 0 && info.st_size == 4 &&
                (info.st_mode & 0777) == 0600);
    assert_int_not_equal(access(in_folder("new"), F_OK), 0);
    expect_sentence(open_by(NULL, give_up, NULL, true), GEN_EDATA,
                    "the library that reads it fails");
    assert_true(no_child_is_left());
}

/* Files of the parent's, its lock among them, are not the child's. */
static gen_status look_for_files(gen_radar_file *f)
{
    (void)f;
    int n = 0;
    for (int i = 3; i < 4096; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return gen_fail(GEN_EDATA, "%d files are open", n);
}

static void files_are_not_inherited(void **state)
{
    (void)state;
    int mine = open("/dev/null", O_RDWR);
    assert_true(mine >= 0);
    for (int untrusted = 0; untrusted < 2; untrusted++)
        expect_sentence(open_by(NULL, look_for_files, NULL, untrusted), GEN_EDATA,
                        "1 files are open"); /* the socket */
    close(mine);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(in_folder("there"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_its_time),
        cmocka_unit_test(closing_does_not_wait),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(a_child_may_lie),
        cmocka_unit_test(an_untrusted_reader_has_no_rights),
        cmocka_unit_test(files_are_not_inherited),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
