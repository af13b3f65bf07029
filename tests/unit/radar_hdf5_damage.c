/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 radar files that are hostile or damaged: data in other files, shapes that no file can hold,
 * attributes beyond measure, cut files and flipped bits end in a sentence; and so does a lack of
 * memory.
 */
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "tests/hdf5_file.h"
#include "tests/radar_file.h"

/* ---- other files ------------------------------------------------------------------------- */

static void data_in_other_files_are_refused(void **state)
{
    (void)state;
    static const char data[] = "dataset1/data1/data";
    const char *path = in_folder("links.h5"), *other = in_folder("other.h5");
    const hsize_t size[2] = { ODIM_H, ODIM_W };
    H5Fclose(hdf5_odim(other));
    for (int kind = 0; kind < 6; kind++) {
        hid_t file = hdf5_odim(path), how = H5Pcreate(H5P_DATASET_CREATE);
        hid_t space = H5Screate_simple(2, size, NULL);
        hdf5_remove(file, kind < 4 ? data : "where");
        switch (kind) {
        case 0:
            H5Lcreate_external(other, data, file, data, H5P_DEFAULT, H5P_DEFAULT);
            break;
        case 1:
            H5Lcreate_soft("/dataset1/data1/elsewhere", file, data, H5P_DEFAULT, H5P_DEFAULT);
            hdf5_put_grid(file, "dataset1/data1/elsewhere", H5T_STD_U8LE, H5P_DEFAULT, ODIM_H,
                          ODIM_W);
            break;
        case 2:
            H5Pset_external(how, "/etc/passwd", 0, ODIM_H * ODIM_W);
            H5Dclose(H5Dcreate2(file, data, H5T_STD_U8LE, space, H5P_DEFAULT, how, H5P_DEFAULT));
            break;
        case 3:
            H5Pset_virtual(how, space, other, data, space);
            H5Dclose(H5Dcreate2(file, data, H5T_STD_U8LE, space, H5P_DEFAULT, how, H5P_DEFAULT));
            break;
        case 4:
            H5Lcreate_external(other, "where", file, "where", H5P_DEFAULT, H5P_DEFAULT);
            break;
        default:
            H5Lcreate_soft("/dataset1", file, "where", H5P_DEFAULT, H5P_DEFAULT);
        }
        H5Sclose(space);
        H5Pclose(how);
        H5Fclose(file);
        expect_sentence(path, kind < 2    ? "has no dataset '/dataset1/data1/data'"
                              : kind == 3 ? "has its data in other files"
                              : kind == 2 ? "has its data in other files"
                                          : "no attribute 'projdef'");
    }
}

/* ---- hostile shapes ---------------------------------------------------------------------- */

static void put_shape(const char *path, int rank, const hsize_t *size, const hsize_t *chunk,
                      hid_t type)
{
    hid_t file = hdf5_odim(path), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    hdf5_remove(file, "dataset1/data1/data");
    if (chunk)
        H5Pset_chunk(how, rank, chunk);
    hid_t data =
        H5Dcreate2(file, "dataset1/data1/data", type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    assert_true(data >= 0);
    H5Dclose(data);
    H5Sclose(space);
    H5Pclose(how);
    H5Fclose(file);
}

static void hostile_shapes_are_refused(void **state)
{
    (void)state;
    const char *path = in_folder("shape.h5");
    hid_t pair = H5Tcreate(H5T_COMPOUND, 2), text = H5Tcopy(H5T_C_S1);
    H5Tinsert(pair, "a", 0, H5T_NATIVE_CHAR);
    H5Tset_size(text, H5T_VARIABLE);
    static const hsize_t large[2] = { 60000, 60000 }, wide[2] = { 1, 70000 }, cube[3] = { 1, 2, 2 };
    static const hsize_t small[2] = { ODIM_H, ODIM_W }, one[2] = { 1, 1 },
                         thousand[2] = { 1000, 1000 };
    static const hsize_t huge_chunk[2] = { 32768, 32767 }, none[2] = { 0, 5 };
    const struct {
        int rank;
        const hsize_t *size, *chunk;
        hid_t type;
        const char *sentence;
    } cases[] = {
        { 2, large, thousand, H5T_IEEE_F64LE, "declares 28800000000 bytes, but the file has" },
        { 2, wide, one, H5T_STD_U8LE, "1 x 70000, expected two of 1 to 65536 cells" },
        { 2, none, NULL, H5T_STD_U8LE, "0 x 5, expected two of 1" },
        { 3, cube, NULL, H5T_STD_U8LE, "has 3 dimensions" },
        { 0, NULL, NULL, H5T_STD_U8LE, "has 0 dimensions" },
        { 2, small, NULL, pair, "holds no numbers" },
        { 2, small, NULL, text, "holds no numbers" },
        { 2, huge_chunk, huge_chunk, H5T_STD_U8LE, "" },
    };
    uint64_t before = gen_alloc_bytes();
    for (int i = 0; i < GEN_LEN(cases); i++) {
        put_shape(path, cases[i].rank, cases[i].size, cases[i].chunk, cases[i].type);
        expect_sentence(path, cases[i].sentence);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(gen_alloc_peak() < (uint64_t)64 << 20);
    H5Tclose(pair);
    H5Tclose(text);
}

static size_t keep_all(unsigned flags, size_t n, const unsigned values[], size_t bytes,
                       size_t *size, void **data)
{
    (void)flags, (void)n, (void)values, (void)size, (void)data;
    return bytes;
}

static void foreign_filters_are_refused(void **state)
{
    (void)state;
    const H5Z_class2_t plain = { H5Z_CLASS_T_VERS, 300, 1, 1, "plain", NULL, NULL, keep_all };
    const hsize_t chunk[2] = { 4, 4 };
    const char *path = in_folder("filter.h5");
    H5Zregister(&plain);
    hid_t file = hdf5_odim(path), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 2, chunk);
    H5Pset_filter(how, 300, 0, 0, NULL);
    hdf5_put_grid(file, "dataset1/data1/data", H5T_STD_U8LE, how, ODIM_H, ODIM_W);
    H5Pclose(how);
    H5Fclose(file);
    expect_sentence(path, "is packed by a filter that is no part of HDF5");
    H5Zunregister(300);
}

static void odd_attributes_are_refused(void **state)
{
    (void)state;
    const char *path = in_folder("odd.h5");
    static const double many[3000] = { 1 };
    static char words[3000];
    const char *variable = ODIM_PROJ "   ";
    memset(words, 'x', sizeof words - 1);
    hid_t file = hdf5_odim(path), text = H5Tcopy(H5T_C_S1);
    hdf5_set(file, "dataset1/data1/what", "gain", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 3000, many);
    H5Fclose(file);
    expect_sentence(path, "holds 3000 numbers, expected 1");
    file = hdf5_odim(path);
    hdf5_set_text(file, "where", "projdef", words);
    H5Fclose(file);
    expect_sentence(path, "is too long a text");
    H5Tset_size(text, H5T_VARIABLE);
    file = hdf5_odim(path);
    hdf5_set(file, "where", "projdef", text, text, 1, &variable);
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    gen_radar_contents_free(&c);
    variable = words;
    file = hdf5_odim(path);
    hdf5_set(file, "where", "projdef", text, text, 1, &variable);
    H5Fclose(file);
    expect_sentence(path, "is too long a text");
    H5Tclose(text);
}

/* ---- damage ------------------------------------------------------------------------------ */

static void put_file(const char *path, const char *data, uint64_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* In a process of its own: HDF5 itself crashes on some. */
static void expect_survival(const char *path)
{
    const char *bad = in_folder("bad.h5");
    gen_radar_read_options apart = { .own_process = true };
    char *data = NULL;
    uint64_t n = 0;
    uint32_t random = 1;
    int fine = 0;
    assert_int_equal(gen_file_read(path, 1 << 24, &data, &n), GEN_OK);
    for (uint64_t cut = 0; cut < n; cut += 1 + n / 60) {
        put_file(bad, data, cut);
        assert_int_equal(status_of(bad, &apart), GEN_EDATA);
        assert_true(gen_last_error()[0]);
    }
    for (int turn = 0; turn < 150; turn++) {
        random = random * 1664525u + 1013904223u;
        uint64_t at = random % n;
        char was = data[at];
        data[at] ^= (char)(1 << (random >> 29));
        put_file(bad, data, n);
        data[at] = was;
        gen_status status = status_of(bad, &apart);
        assert_true(status == GEN_OK || status == GEN_EDATA || status == GEN_ENOMEM);
        fine += status == GEN_OK;
    }
    assert_true(fine > 0 && fine < 150);
    gen_free(data);
}

static void damaged_files_end_in_a_sentence(void **state)
{
    (void)state;
    const char *path = in_folder("whole.h5");
    H5Fclose(hdf5_odim(path));
    expect_survival(path);
    path = in_folder("whole2.h5");
    H5Fclose(hdf5_knmi(path));
    expect_survival(path);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    hid_t (*const makers[])(const char *) = { hdf5_odim, hdf5_knmi };
    const char *path = in_folder("memory.h5");
    for (int i = 0; i < 2; i++) {
        H5Fclose(makers[i](path));
        uint64_t before = gen_alloc_bytes();
        gen_status status = GEN_ENOMEM;
        for (uint64_t n = 1; status != GEN_OK; n++) {
            gen_alloc_fail_at(n);
            status = status_of(path, NULL);
            gen_alloc_fail_at(0);
            assert_true(n < 100 && (status == GEN_OK || status == GEN_ENOMEM));
            assert_int_equal(gen_alloc_bytes(), before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_in_other_files_are_refused),
        cmocka_unit_test(hostile_shapes_are_refused),
        cmocka_unit_test(foreign_filters_are_refused),
        cmocka_unit_test(odd_attributes_are_refused),
        cmocka_unit_test(damaged_files_end_in_a_sentence),
        cmocka_unit_test(any_allocation_may_fail),
    };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* of the test; the readers are silent themselves */
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
