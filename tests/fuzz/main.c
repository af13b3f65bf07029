/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives a fuzz target without libFuzzer: replays a corpus, and with --seconds N then feeds it
 * mutated copies. Every crash is reproducible: the input is written to crash-<target> before it is
 * run a second time. With clang the same targets link with -fsanitize=fuzzer instead of this file.
 *
 *     build/fuzz/json [--seconds N] [--seed N] FOLDER|FILE...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_SEEDS 512
#define MAX_INPUT (256u * 1024u)

static struct {
    uint8_t *data;
    size_t size;
} seeds[MAX_SEEDS];
static int n_seeds;
static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 32) % below : 0;
}

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || n_seeds == MAX_SEEDS) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    uint8_t *data = malloc(MAX_INPUT);
    seeds[n_seeds].size = fread(data, 1, MAX_INPUT, f);
    seeds[n_seeds++].data = data;
    fclose(f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_folder(const char *path)
{
    DIR *d = opendir(path);
    char *names[MAX_SEEDS];
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) && n < MAX_SEEDS;)
        if (e->d_name[0] != '.')
            names[n++] = strdup(e->d_name);
    if (d)
        closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        add_file(file);
        free(names[i]);
    }
}

/* The input lies in a page shared with the disk, so that it is there after a crash. */
static uint8_t *shared;

static void run(const uint8_t *data, size_t size)
{
    memcpy(shared, &size, sizeof size);
    memcpy(shared + sizeof size, data, size);
    uint8_t *exact = malloc(size ? size : 1); /* so that AddressSanitizer sees the end */
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void put_number(uint8_t *p, size_t left)
{
    static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000,
                                    0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff };
    uint64_t v = odd[draw(sizeof odd / sizeof *odd)];
    size_t n = (size_t)1 << draw(4);
    memcpy(p, &v, n < left ? n : left);
}

static size_t mutate(uint8_t *p, size_t size)
{
    for (uint32_t turns = 1 + draw(6); turns; turns--) {
        uint32_t at = draw((uint32_t)size), n = 1 + draw(16);
        if (at + n > size)
            n = (uint32_t)size - at;
        switch (draw(8)) {
        case 0: /* cut the end */
            size = at;
            break;
        case 1: /* remove */
            memmove(p + at, p + at + n, size - at - n);
            size -= n;
            break;
        case 2: /* repeat */
            if (size + n <= MAX_INPUT) {
                memmove(p + at + n, p + at, size - at);
                size += n;
            }
            break;
        case 3: /* from another seed */
            if (n_seeds > 0) {
                int s = (int)draw((uint32_t)n_seeds);
                uint32_t from = draw((uint32_t)seeds[s].size);
                for (uint32_t i = 0; i < n && from + i < seeds[s].size; i++)
                    p[at + i] = seeds[s].data[from + i];
            }
            break;
        case 4:
            if (size)
                put_number(p + at, size - at);
            break;
        case 5:
            if (size)
                p[at] = (uint8_t)draw(256);
            break;
        case 6: /* a digit: sizes in text headers */
            for (uint32_t i = at; i < size; i++)
                if (p[i] >= '0' && p[i] <= '9') {
                    p[i] = (uint8_t)('0' + draw(10));
                    break;
                }
            break;
        default:
            if (size)
                p[at] ^= (uint8_t)(1u << draw(8));
        }
        if (!size)
            break;
    }
    return size;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    char crash[256];
    const char *name = strrchr(argv[0], '/');
    snprintf(crash, sizeof crash, "%s.last", argv[0]);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
            seconds = atof(argv[++i]);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            state ^= strtoull(argv[++i], NULL, 10) * 0x9e3779b97f4a7c15u;
        else if (!stat(argv[i], &st) && S_ISDIR(st.st_mode))
            add_folder(argv[i]);
        else
            add_file(argv[i]);
    }
    FILE *f = fopen(crash, "wb+");
    if (!f || ftruncate(fileno(f), MAX_INPUT + 16))
        return 1;
    shared = mmap(NULL, MAX_INPUT + 16, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    if (shared == MAP_FAILED)
        return 1;
    for (int i = 0; i < n_seeds; i++)
        run(seeds[i].data, seeds[i].size);
    uint8_t *buffer = malloc(MAX_INPUT + 16);
    uint64_t runs = 0;
    struct timespec start, t;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (double passed = 0; passed < seconds; runs++) {
        size_t size = 0;
        if (n_seeds > 0) {
            int s = (int)draw((uint32_t)n_seeds);
            size = seeds[s].size;
            memcpy(buffer, seeds[s].data, size);
        }
        run(buffer, mutate(buffer, size));
        clock_gettime(CLOCK_MONOTONIC, &t);
        passed = (double)(t.tv_sec - start.tv_sec) + (double)(t.tv_nsec - start.tv_nsec) * 1e-9;
    }
    printf("%s: %d seeds, %llu mutants, no crash\n", name ? name + 1 : argv[0], n_seeds,
           (unsigned long long)runs);
    remove(crash);
    for (int i = 0; i < n_seeds; i++)
        free(seeds[i].data);
    free(buffer);
    return 0;
}
