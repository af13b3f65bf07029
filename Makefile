# libgen: `make help` lists the targets.
VERSION := 0.1.0
SHELL := /bin/bash
B ?= build
Q := $(if $(V),,@)

CC ?= cc
OPT ?= -O2 -g
SANITIZE ?=
WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS_ALL := -std=c11 -D_POSIX_C_SOURCE=200809L $(OPT) $(WARN) -ffp-contract=off -fno-math-errno -fPIC \
    -fvisibility=hidden -pthread -I. -I$(B)/include -DGEN_VERSION='"$(VERSION)"' $(SANITIZE) $(CFLAGS)

# ---- dependencies (Debian packages), found by pkg-config --------------------------------------
PKG := pkg-config
CORE_PKGS := libcjson libzip zlib lapacke openblas
WEATHER_PKGS := netcdf libpng cairo
TEST_PKGS := cmocka
PKG_CFLAGS := $(shell $(PKG) --cflags $(CORE_PKGS) $(WEATHER_PKGS) $(TEST_PKGS) 2>/dev/null)
CORE_LIBS := $(shell $(PKG) --libs $(CORE_PKGS) 2>/dev/null) -ldnnl -lgomp -lm -pthread
WEATHER_LIBS := $(shell $(PKG) --libs $(WEATHER_PKGS) 2>/dev/null)
TEST_LIBS := $(shell $(PKG) --libs $(TEST_PKGS) 2>/dev/null)

# ---- sources, one a line -------------------------------------------------------------------------
PUBLIC_HEADERS := \
    libgen/graph.h \
    libgen/log.h \
    libgen/model.h \
    libgen/nn.h \
    libgen/ops.h \
    libgen/params.h \
    libgen/plan.h \
    libgen/random.h \
    libgen/status.h \
    libgen/tensor.h \
    weather/weather.h \

BASE := \
    libgen/base/alloc.c \
    libgen/base/fail.c \
    libgen/base/file.c \
    libgen/base/json.c \
    libgen/base/json_write.c \
    libgen/base/map.c \
    libgen/base/options.c \
    libgen/base/pool.c \
    libgen/base/sha256.c \

TENSOR := \
    libgen/tensor/npy.c \
    libgen/tensor/random.c \
    libgen/tensor/tensor.c \

GRAPH := \
    libgen/graph/grad.c \
    libgen/graph/graph.c \
    libgen/graph/params.c \
    libgen/graph/source.c \

OPS := \
    libgen/ops/block.c \
    libgen/ops/conv.c \
    libgen/ops/elementwise.c \
    libgen/ops/index.c \
    libgen/ops/list.c \
    libgen/ops/matmul.c \
    libgen/ops/norm.c \
    libgen/ops/reduce.c \
    libgen/ops/resample.c \
    libgen/ops/shape.c \
    libgen/ops/shape_rules.c \
    libgen/ops/softmax.c \
    libgen/ops/strides.c \

BACKENDS := \

PLAN := \

NN := \
    libgen/nn/attention.c \
    libgen/nn/blocks.c \
    libgen/nn/conv_gru.c \
    libgen/nn/layers.c \
    libgen/nn/net.c \
    libgen/nn/params_init.c \
    libgen/nn/spectral_norm.c

MODEL := \

WEATHER := \
    weather/dgmr.c \
    weather/dgmr_import.c

CLI := \

# Test programs (cmocka), one a line; each links everything.
TESTS := \
    tests/unit/base.c \
    tests/unit/file.c \
    tests/unit/text.c \

CORE := $(BASE) $(TENSOR) $(GRAPH) $(OPS) $(BACKENDS) $(PLAN) $(NN) $(MODEL)

# Kernel files built once per instruction set, chosen at run time: name.c -> name.<isa>.o with
# -DGEN_KERNEL_ISA=<isa>.
KERNELS := \

# ---- rules ---------------------------------------------------------------------------------------
OBJ = $(patsubst %.c,$(B)/obj/%.o,$(1))
STAGED := $(foreach h,$(PUBLIC_HEADERS),$(B)/include/libgen/$(notdir $(h)))

ISA_FLAGS_base :=
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c
ISA_FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mavx2 -mf16c
ISAS := $(if $(filter x86_64,$(shell uname -m)),base avx2 avx512,base)
KERNEL_OBJ := $(foreach k,$(KERNELS),$(foreach i,$(ISAS),$(B)/obj/$(k:.c=.$(i).o)))

.DEFAULT_GOAL := all
.PRECIOUS: $(B)/include/libgen/%.h
.DELETE_ON_ERROR:

## all: build/gen, the libraries
all: $(B)/libgen.a

$(B)/include/libgen/%.h: libgen/%.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@
$(B)/include/libgen/%.h: weather/%.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@

$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS)' > $@
FORCE:

$(B)/obj/%.o: %.c $(B)/flags | $(STAGED)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

define ISA_RULE
$(B)/obj/%.$(1).o: %.c $(B)/flags | $(STAGED)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_ALL) $$(PKG_CFLAGS) $$(ISA_FLAGS_$(1)) -DGEN_KERNEL_ISA=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call ISA_RULE,$(i))))

$(B)/libgen.a: $(call OBJ,$(CORE)) $(KERNEL_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

ALL_LIBS = $(B)/libgen.a $(WEATHER_LIBS) $(CORE_LIBS)
$(B)/tests/%: tests/%.c $(B)/libgen.a $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -MF $@.d $< -o $@ $(ALL_LIBS) $(TEST_LIBS)

TEST_PROGRAMS := $(patsubst tests/%.c,$(B)/tests/%,$(TESTS))

## test: builds and passes the tests
test: all $(TEST_PROGRAMS)
	@for t in $(TEST_PROGRAMS); do $$t || exit 1; done

-include $(shell find $(B) -name '*.d' 2>/dev/null)

clean:
	rm -rf $(B)

.PHONY: all clean test FORCE
