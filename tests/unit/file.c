/* SPDX-License-Identifier: Apache-2.0
 *
 * Output files are whole or absent: after every failure the folder holds what it held before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int entries(void)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static void expect_content(const char *path, const char *expected)
{
    char *text;
    uint64_t n;
    assert_int_equal(gen_file_read(path, 1000, &text, &n), GEN_OK);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
    gen_free(text);
}

static gen_status write_file(const char *path, const char *text, bool force)
{
    gen_output o;
    GEN_TRY(gen_output_open(&o, path, force, false));
    fputs(text, o.file);
    return gen_output_commit(&o);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/libgen-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = { "a.txt", "b.nc", "late" };
    for (int i = 0; i < GEN_LEN(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder); /* fails when a temporary was left */
}

static void whole_or_absent(void **state)
{
    (void)state;
    const char *path = in_folder("a.txt");
    gen_output o;
    assert_int_equal(gen_output_open(&o, path, false, false), GEN_OK);
    fputs("half", o.file);
    fflush(o.file);
    assert_int_not_equal(access(path, F_OK), 0); /* not there before the commit */
    gen_output_abort(&o);
    gen_output_abort(&o);
    assert_int_equal(entries(), 0);
    assert_int_equal(write_file(path, "one", false), GEN_OK);
    expect_content(path, "one");
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
    assert_int_equal(write_file(path, "two", false), GEN_EEXIST);
    expect_content(path, "one");
    assert_int_equal(write_file(path, "two", true), GEN_OK);
    expect_content(path, "two");
    assert_int_equal(entries(), 1);
}

/* Somebody else makes the file between open and commit. */
static void late_collision_is_refused(void **state)
{
    (void)state;
    const char *path = in_folder("late");
    gen_output o;
    assert_int_equal(gen_output_open(&o, path, false, false), GEN_OK);
    fputs("ours", o.file);
    assert_int_equal(write_file(path, "theirs", false), GEN_OK);
    assert_int_equal(gen_output_commit(&o), GEN_EEXIST);
    expect_content(path, "theirs");
    assert_int_equal(entries(), 1);
}

static void a_library_writes_by_name(void **state)
{
    (void)state;
    gen_output o;
    assert_int_equal(gen_output_open(&o, in_folder("b.nc"), false, true), GEN_OK);
    assert_null(o.file);
    assert_string_equal(strrchr(o.temporary, '.'), ".nc");
    FILE *f = fopen(o.temporary, "w");
    fputs("netcdf", f);
    fclose(f);
    assert_int_equal(gen_output_commit(&o), GEN_OK);
    expect_content(in_folder("b.nc"), "netcdf");
    assert_int_equal(entries(), 1);
}

/* A limit on the size of files stands for a full disk: EFBIG and ENOSPC take the same way. */
static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ 1000, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    gen_output o;
    assert_int_equal(gen_output_open(&o, in_folder("a.txt"), false, false), GEN_OK);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 100000; i++)
        fputs("0123456789", o.file);
    gen_status status = gen_output_commit(&o);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(status == GEN_ENOMEM || status == GEN_EIO);
    assert_int_equal(entries(), 0);
}

static void signals_remove_temporaries(void **state)
{
    (void)state;
    gen_output a, b;
    assert_int_equal(gen_output_open(&a, in_folder("a.txt"), false, false), GEN_OK);
    assert_int_equal(gen_output_open(&b, in_folder("b.nc"), false, true), GEN_OK);
    assert_int_equal(entries(), 2);
    gen_outputs_remove_all();
    assert_int_equal(entries(), 0);
    gen_output_abort(&a);
    gen_output_abort(&b);
}

static void bad_targets(void **state)
{
    (void)state;
    gen_output o;
    assert_int_equal(gen_output_open(&o, "", true, false), GEN_EINVAL);
    assert_int_equal(gen_output_open(&o, folder, true, false), GEN_EINVAL);
    assert_int_equal(gen_output_open(&o, in_folder("no/such/file"), true, false), GEN_EIO);
    assert_int_equal(gen_output_open(&o, "/dev/full", true, false), GEN_EINVAL);
    char *text;
    uint64_t n;
    assert_int_equal(gen_file_read(in_folder("none"), 10, &text, &n), GEN_EDATA);
    assert_int_equal(gen_file_read(folder, 10, &text, &n), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "is a folder"));
    assert_int_equal(gen_file_read("/dev/zero", 10, &text, &n), GEN_EDATA);
    assert_int_equal(write_file(in_folder("a.txt"), "12345678901", false), GEN_OK);
    assert_int_equal(gen_file_read(in_folder("a.txt"), 10, &text, &n), GEN_EDATA);
    assert_null(text);
    assert_int_equal(gen_file_read(in_folder("a.txt"), 11, &text, &n), GEN_OK);
    gen_free(text);
}

static void every_failing_allocation(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (unsigned n = 1; status != GEN_OK; n++) {
        gen_alloc_fail_at(n);
        status = write_file(in_folder("a.txt"), "x", false);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        assert_int_equal(entries(), status == GEN_OK);
        assert_int_equal(gen_alloc_bytes(), before);
        assert_true(n < 20);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_or_absent),        TEST(late_collision_is_refused),
        TEST(a_library_writes_by_name), TEST(a_full_disk_leaves_nothing),
        TEST(signals_remove_temporaries), TEST(bad_targets),
        TEST(every_failing_allocation),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
