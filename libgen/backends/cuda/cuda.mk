# SPDX-License-Identifier: Apache-2.0
#
# libgen-cuda.so, and the same on the emulator of tests/cuda. Part of the Makefile.

# CUDA, cuDNN and cuBLASLt: nvcc on PATH, the headers and libraries beside it.
NVCC ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_HOME ?= $(if $(NVCC),$(patsubst %/bin/,%,$(dir $(realpath $(NVCC)))))
CUDA_LIB := $(firstword $(patsubst %/libcudnn.so,%,$(wildcard $(CUDA_HOME)/lib64/libcudnn.so $(CUDA_HOME)/lib/libcudnn.so)))
MISSING_CUDA := $(strip $(if $(NVCC),,nvcc) $(if $(CUDA_LIB),,libcudnn.so) \
    $(foreach h,cuda_runtime_api.h cudnn.h cublasLt.h,$(if $(wildcard $(CUDA_HOME)/include/$(h)),,$(h))))
HAVE_CUDA := $(if $(filter no,$(WITH_CUDA)),,$(if $(MISSING_CUDA),,yes))

CUDA_SHARED := $(if $(HAVE_CUDA),$(B)/libgen-cuda.so)

# libgen-cuda.so: host code, and kernels that nvcc compiles.
CUDA := \
    libgen/backends/cuda/conv.c \
    libgen/backends/cuda/cublas.c \
    libgen/backends/cuda/cuda.c \
    libgen/backends/cuda/cudnn.c \
    libgen/backends/cuda/elementwise.c \
    libgen/backends/cuda/index.c \
    libgen/backends/cuda/matmul.c \
    libgen/backends/cuda/move.c \
    libgen/backends/cuda/norm.c \
    libgen/backends/cuda/peak.c \
    libgen/backends/cuda/plan_cache.c \
    libgen/backends/cuda/pool.c \
    libgen/backends/cuda/reduce.c \
    libgen/backends/cuda/sums.c \
    libgen/backends/cuda/train.c \

CUDA_KERNELS := \
    libgen/backends/cuda/kernels/cast.cu \
    libgen/backends/cuda/kernels/conv.cu \
    libgen/backends/cuda/kernels/elementwise.cu \
    libgen/backends/cuda/kernels/indexed.cu \
    libgen/backends/cuda/kernels/matmul.cu \
    libgen/backends/cuda/kernels/move.cu \
    libgen/backends/cuda/kernels/norm.cu \
    libgen/backends/cuda/kernels/pool.cu \
    libgen/backends/cuda/kernels/reduce.cu \
    libgen/backends/cuda/kernels/softmax.cu \
    libgen/backends/cuda/kernels/train.cu \

# Stand-ins for cuDNN and cuBLASLt, part of the emulator.
CUDA_STANDINS := \
    tests/cuda/cublaslt.cc \
    tests/cuda/cudnn.cc \
    tests/cuda/cudnn_graph.cc \
    tests/cuda/cudnn_json.cc \
    tests/cuda/cudnn_math.cc \

# The least of a runtime, where they are tested alone.
CUDA_AT_ONCE := \
    tests/cuda/at_once.cc \

# Test programs that there are with CUDA only.
CUDA_TESTS := \
    tests/unit/cublaslt_standin.c \
    tests/unit/cuda_conv.c \
    tests/unit/cudnn_engines.c \
    tests/unit/cudnn_graphs.c \
    tests/unit/cudnn_real.c \
    tests/unit/cudnn_standin.c \

TESTS += $(if $(HAVE_CUDA),$(CUDA_TESTS))

# The emulator that runs them on the processor, for tests (tests/cuda/README.md).
CUDA_EMULATOR := $(CUDA_STANDINS) \
    tests/cuda/grid.cc \
    tests/cuda/memory.cc \
    tests/cuda/runtime.cc \
    tests/cuda/state.cc \
    tests/cuda/stream.cc \

# Kernels that the emulator is tested with.
CUDA_SELFTEST := \
    tests/cuda/selftest.cu \

# ---- libgen-cuda.so ------------------------------------------------------------------------------
# It takes libgen's functions from whoever loads it: the program, or libgen.so.
CUDA_ARCHS ?= 80 90 100
CUDA_LAST := $(lastword $(CUDA_ARCHS))
NVCC_FLAGS := -std=c++17 -O3 -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra -I. -I$(B)/include \
    $(if $(WERROR),-Werror all-warnings) $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
    -gencode arch=compute_$(CUDA_LAST),code=compute_$(CUDA_LAST)
$(call OBJ,$(CUDA)): PKG_CFLAGS += -isystem $(CUDA_HOME)/include
$(B)/nvcc-flags: FORCE
	@mkdir -p $(B)
	@echo '$(NVCC) $(NVCC_FLAGS)' | cmp -s - $@ || echo '$(NVCC) $(NVCC_FLAGS)' > $@
$(B)/obj/%.cu.o: %.cu $(B)/nvcc-flags | ready $(STAGED)
	@mkdir -p $(@D)
	$(Q)$(NVCC) $(NVCC_FLAGS) -MMD -MF $(@:.o=.d) -c $< -o $@

# A step of training is the same bits as on the CPU.
$(B)/obj/libgen/backends/cuda/kernels/train.cu.o: private NVCC_FLAGS += -fmad=false

CUDA_LIBS := -lcudnn -lcublasLt -lcudart_static -lrt -ldl -lpthread -lstdc++
$(B)/libgen-cuda.so: $(call OBJ,$(CUDA)) $(CUDA_KERNELS:%=$(B)/obj/%.o)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,$(notdir $@).$(SOVERSION) -o $@.$(VERSION) $^ $(LDFLAGS) \
	    -L$(CUDA_LIB) $(CUDA_LIBS)
	@ln -sf $(notdir $@).$(VERSION) $@.$(SOVERSION) && ln -sf $(notdir $@).$(SOVERSION) $@

# The same host code and kernels on the emulator of tests/cuda. Kernels move 16 bytes of any type at
# once, which nvcc allows.
EMULATED := $(if $(HAVE_CUDA),$(if $(CUDA_EMULATOR),$(B)/tests/cuda/libgen-cuda.so))
EMULATOR_FLAGS := -std=c++17 $(OPT) -fPIC -fvisibility=hidden -Wall -Wextra -Wno-unknown-pragmas -Wno-class-memaccess \
    $(WERROR) -fno-strict-aliasing -DGEN_EMULATED -I. -I$(B)/include -isystem $(CUDA_HOME)/include $(SANITIZE)
$(B)/obj/%.emulated.o: %.cu $(B)/flags | ready $(STAGED)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(EMULATOR_FLAGS) -MMD -MP -x c++ -c $< -o $@
$(B)/obj/tests/cuda/%.o: tests/cuda/%.cc $(B)/flags | ready $(STAGED)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(EMULATOR_FLAGS) -MMD -MP -c $< -o $@
$(B)/tests/cuda/libgen-cuda.so: $(call OBJ,$(CUDA)) $(CUDA_KERNELS:%.cu=$(B)/obj/%.emulated.o) $(CUDA_EMULATOR:%.cc=$(B)/obj/%.o)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(EMULATOR_FLAGS) -shared -Wl,-Bsymbolic -o $@ $^ $(LDFLAGS)

ifneq ($(HAVE_CUDA),)
$(B)/tests/unit/cuda_emulator: private PKG_CFLAGS += -isystem $(CUDA_HOME)/include -DGEN_WITH_CUDA=1
$(B)/tests/unit/cuda_emulator: private TEST_LIBS += -lstdc++
$(B)/tests/unit/cuda_emulator: $(CUDA_EMULATOR:%.cc=$(B)/obj/%.o) $(CUDA_SELFTEST:%.cu=$(B)/obj/%.emulated.o)
endif
$(CUDA_TESTS:%.c=$(B)/%): private PKG_CFLAGS += -isystem $(CUDA_HOME)/include
$(B)/tests/unit/cuda_conv: | $(EMULATED)
$(B)/tests/unit/cudnn_graphs: $(call OBJ,tests/check_ops/conv.c tests/check_ops/gradient.c) | $(CUDA_SHARED)
$(B)/tests/unit/cudnn_engines: private TEST_LIBS += -L$(CUDA_LIB) -Wl,-rpath,$(CUDA_LIB) \
    -Wl,--wrap=cudnnBackendSetAttribute $(CUDA_LIBS)
$(B)/tests/unit/cudnn_engines: $(call OBJ,$(CUDA) tests/check_ops/conv.c tests/check_ops/gradient.c) \
    $(CUDA_KERNELS:%=$(B)/obj/%.o)
$(B)/tests/unit/cudnn_real: private TEST_LIBS += -L$(CUDA_LIB) -lcudnn -Wl,-rpath,$(CUDA_LIB)
$(B)/tests/unit/cublaslt_standin $(B)/tests/unit/cudnn_standin: private TEST_LIBS += -lstdc++
$(B)/tests/unit/cublaslt_standin $(B)/tests/unit/cudnn_standin: \
    $(patsubst %.cc,$(B)/obj/%.o,$(CUDA_STANDINS) $(CUDA_AT_ONCE))
