/* SPDX-License-Identifier: Apache-2.0
 *
 * The real cuDNN has an engine, for every convolution of check_ops in f32, TF32 and bf16, that the
 * backend takes, on an H100: since 9.8 cuDNN makes execution plans for a device that is described
 * and not there. The kernels' own prepare runs; what it sets for a handle is set for the
 * description instead (the linker's --wrap). Nothing is executed. Engines that are compiled when a
 * plan is made need the driver, and are not among those that are offered where there is none.
 *
 * GEN_SHOW=1 prints every case; GEN_DEVICE=FILE takes another description.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/backends/cuda/cudnn.h"
#include "tests/check_ops/harness.h"

uint64_t check_seed = 1;

/* As cudaGetDeviceProperties tells of an H100 SXM; cuDNN asks for each of these. */
static const char h100[] =
    "{\"cudaDeviceId\":0,\"deviceVer\":900,\"driverVer\":13000,\"multiProcessorCount\":132,"
    "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,"
    "\"l2CacheSize\":52428800,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,"
    "\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,"
    "\"maxThreadsPerSM\":2048,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"pciDeviceId\":0,"
    "\"totalGlobalMem\":84990000000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

static cudnnBackendDescriptor_t device;

enum { INPUTS = 4 }; /* of a convolution, at most */

/* ---- a description in the handle's place ----------------------------------------------------- */

cudnnStatus_t __real_cudnnBackendSetAttribute(cudnnBackendDescriptor_t d,
                                              cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t count,
                                              const void *values);
cudnnStatus_t __wrap_cudnnBackendSetAttribute(cudnnBackendDescriptor_t d,
                                              cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t count,
                                              const void *values);

static cudnnStatus_t set_device(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name)
{
    return __real_cudnnBackendSetAttribute(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
}

cudnnStatus_t __wrap_cudnnBackendSetAttribute(cudnnBackendDescriptor_t d,
                                              cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t count,
                                              const void *values)
{
    if (type == CUDNN_TYPE_HANDLE)
        return name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE
                   ? CUDNN_STATUS_SUCCESS
                   : set_device(d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    if (name == CUDNN_ATTR_ENGINEHEUR_MODE) {
        cudnnStatus_t e = set_device(d, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
        if (e != CUDNN_STATUS_SUCCESS)
            return e;
    }
    return __real_cudnnBackendSetAttribute(d, name, type, count, values);
}

static gen_status room(void *ctx, uint64_t *left, uint64_t *total)
{
    (void)ctx;
    *left = *total = 80000000000;
    return GEN_OK;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const gen_kernel *kernel_of(const gen_op *op)
{
    const gen_kernel *const *k = gen_cuda_conv_kernels;
    while (*k && (*k)->op != op)
        k++;
    assert_non_null(*k);
    return *k; /* the first is cuDNN's */
}

static bool has_engine(const gen_node *n, bool tf32)
{
    gen_cuda cuda = { .far = { .room = room }, .text = "described" };
    gen_backend b = { .impl = &cuda };
    const bool is_const[INPUTS] = { false };
    gen_prepare p = { .node = n, .backend = &b, .is_const = is_const, .tf32 = tf32 };
    const gen_kernel *k = kernel_of(n->op);
    gen_status s = k->prepare(&p);
    if (s == GEN_OK)
        k->free(p.state);
    gen_cudnn_plans_free(cuda.plans);
    return s == GEN_OK;
}

static void take(const check_case *cases)
{
    static const char *const forms[] = { "f32", "TF32", "bf16" };
    const bool is_const[INPUTS] = { false };
    int taken = 0;
    for (const check_case *k = cases; k->op; k++) {
        if (k->op == &gen_op_turn || k->flags & CHECK_OPTIONAL)
            continue;
        for (int form = 0; form < 3; form++) {
            check c;
            gen_node *n = check_build(k, &c, form == 2 ? GEN_BF16 : GEN_F32);
            assert_non_null(n);
            if (kernel_of(n->op)->accepts(n, NULL, is_const)) {
                bool there = has_engine(n, form == 1);
                taken++;
                if (getenv("GEN_SHOW"))
                    printf("%-8s %s, %s, %s\n", there ? "engine" : "NONE", n->op->name, k->name,
                           forms[form]);
                else if (!there)
                    fail_msg("%s, %s, %s: %s", n->op->name, k->name, forms[form],
                             gen_last_error());
            }
            gen_graph_free(&c.g);
        }
    }
    assert_true(taken > 60);
}

static void forward(void **state)
{
    (void)state;
    take(check_conv);
}

static void adjoints(void **state)
{
    (void)state;
    take(check_conv_adjoints);
}

/* The description is refused where a later cuDNN asks for more. */
static int describe_device(void **state)
{
    static char text[1 << 14];
    const char *path = getenv("GEN_DEVICE");
    FILE *f = path ? fopen(path, "rb") : NULL;
    (void)state;
    setenv("GEN_CACHE_DIR", "", 1);
    strcpy(text, h100);
    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        (void)fclose(f);
    }
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device) ||
        __real_cudnnBackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                        CUDNN_TYPE_CHAR, (int64_t)strlen(text), text) ||
        cudnnBackendFinalize(device)) {
        char why[512] = "";
        cudnnGetLastErrorString(why, sizeof why);
        fprintf(stderr, "cuDNN %zu does not take the description: %s\n", cudnnGetVersion(), why);
        return 1;
    }
    return 0;
}

static int forget_device(void **state)
{
    (void)state;
    (void)cudnnBackendDestroyDescriptor(device);
    return 0;
}

/* Without a device cuDNN leaves memory behind that libraries which it unloads had taken. What is
 * ours is counted on the stand-in (tests/unit/cuda_conv.c). */
GEN_API int __lsan_is_turned_off(void); /* to be seen, not hidden */
int __lsan_is_turned_off(void)
{
    return 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),
        cmocka_unit_test(adjoints),
    };
    return cmocka_run_group_tests(tests, describe_device, forget_device);
}
