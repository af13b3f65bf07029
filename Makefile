# libgen: `make help` lists the targets.
#
# Sources are listed, not globbed (a blank line ends each list, so that lists merge);
# everything is built under $(B). `make V=1` shows the commands, `make config` what was found.
VERSION := 0.1.0
SOVERSION := 0
SHELL := /bin/bash
B ?= build
Q := $(if $(V),,@)

# deps_test and deps_demo call make again: on a fresh machine pkg-config is not there when this
# file is first read.
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))
OPT ?= -O2 -g
SANITIZE ?=
WERROR ?= -Werror
WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wno-format-truncation -Wno-missing-field-initializers $(WERROR)

_comma := ,
_empty :=
_space := $(_empty) $(_empty)

# ---- where things go ------------------------------------------------------------------------------
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share/libgen

# ---- dependencies: found by pkg-config, installed by Debian package name --------------------------
# WITH_X=auto takes an optional part where its libraries are found; yes insists; no leaves it out.
# Without oneDNN convolutions are slow on the CPU; without codecs the weather room reads .npy only
# and draws nothing. `make gpu-kit` is made so.
WITH_ONEDNN ?= yes
WITH_WEATHER ?= auto
WITH_CODECS ?= yes
WITH_FFMPEG ?= auto
WITH_CUDA ?= auto

PKG_CONFIG ?= pkg-config
CORE_PKGS := libcjson libzip zlib lapacke openblas kissfft-float
HAVE_ONEDNN := $(if $(filter no,$(WITH_ONEDNN)),,yes)
WEATHER_PKGS := kissfft-float libdeflate zlib
CODEC_PKGS := netcdf hdf5 libpng cairo proj libarchive libzip libgif eccodes libtiff-4
WEATHER_PKGS += $(if $(filter no,$(WITH_CODECS)),,$(CODEC_PKGS))
FFMPEG_PKGS := libavformat libavcodec libavutil libswscale
TEST_PKGS := cmocka
CORE_DEBS := gcc libc6-dev pkg-config libdnnl-dev libopenblas-openmp-dev liblapacke-dev libcjson-dev \
    libkissfft-dev libzip-dev zlib1g-dev
WEATHER_DEBS := libnetcdf-dev libhdf5-dev libdeflate-dev libpng-dev libcairo2-dev libproj-dev libarchive-dev libzip-dev libgif-dev libeccodes-dev libtiff-dev libgeotiff-dev
FFMPEG_DEBS := libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
TEST_DEBS := libcmocka-dev g++ netcdf-bin

# Names of the packages that are not there.
missing = $(shell for p in $(1); do $(PKG_CONFIG) --exists $$p 2>/dev/null || echo $$p; done)
MISSING := $(call missing,$(CORE_PKGS))
MISSING += $(if $(HAVE_ONEDNN),$(shell echo '\#include <oneapi/dnnl/dnnl.h>' | $(CC) -E - >/dev/null 2>&1 || echo onednn))
MISSING := $(strip $(MISSING))
MISSING_WEATHER := $(call missing,$(WEATHER_PKGS))
MISSING_WEATHER += $(if $(filter no,$(WITH_CODECS)),,$(shell echo '\#include <geotiff/geotiff.h>' | $(CC) -E - >/dev/null 2>&1 || echo libgeotiff))
MISSING_WEATHER := $(strip $(MISSING_WEATHER))
MISSING_FFMPEG := $(strip $(call missing,$(FFMPEG_PKGS)))
MISSING_TEST := $(strip $(call missing,$(TEST_PKGS)))

HAVE_WEATHER := $(if $(filter no,$(WITH_WEATHER)),,$(if $(MISSING_WEATHER),,yes))
HAVE_CODECS := $(if $(HAVE_WEATHER),$(if $(filter no,$(WITH_CODECS)),,yes))
# Loaded when the first film is written, not linked: only its headers are needed here.
HAVE_FFMPEG := $(if $(HAVE_CODECS),$(if $(filter no,$(WITH_FFMPEG)),,$(if $(MISSING_FFMPEG),,yes)))
PKGS := $(CORE_PKGS) $(if $(HAVE_WEATHER),$(WEATHER_PKGS)) $(if $(MISSING_TEST),,$(TEST_PKGS))
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) $(if $(HAVE_FFMPEG),$(FFMPEG_PKGS)) 2>/dev/null)
CORE_LIBS := $(shell $(PKG_CONFIG) --libs $(CORE_PKGS) 2>/dev/null) $(if $(HAVE_ONEDNN),-ldnnl) -lgomp -lm -pthread
# Without the paths of a build machine that eccodes.pc has in it.
WEATHER_LIBS := $(filter-out -Wl%,$(shell $(PKG_CONFIG) --libs $(WEATHER_PKGS) 2>/dev/null)) $(if $(HAVE_CODECS),-lgeotiff) -lm
FFMPEG_LIBS := $(shell $(PKG_CONFIG) --libs $(FFMPEG_PKGS) 2>/dev/null)
TEST_LIBS := $(shell $(PKG_CONFIG) --libs $(TEST_PKGS) 2>/dev/null)

CFLAGS_ALL := -std=c11 -D_POSIX_C_SOURCE=200809L $(OPT) $(WARN) -ffp-contract=off -fno-math-errno \
    -fPIC -fvisibility=hidden -pthread -I. -I$(B)/include -DGEN_VERSION='"$(VERSION)"' \
    -DGEN_SOVERSION='"$(SOVERSION)"' \
    $(if $(HAVE_ONEDNN),-DGEN_WITH_ONEDNN=1) $(if $(HAVE_WEATHER),-DGEN_WITH_WEATHER=1) \
    $(if $(HAVE_CODECS),-DGEN_WITH_CODECS=1) $(SANITIZE) $(CFLAGS)

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
    libgen/train.h \
    metrics/metrics.h \
    weather/plot.h \
    weather/products.h \
    weather/verify.h \
    weather/weather.h \

BASE := \
    libgen/base/alloc.c \
    libgen/base/fail.c \
    libgen/base/far.c \
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
    libgen/ops/turn.c \

BACKENDS := \
    libgen/backends/backend.c \
    libgen/backends/cuda_library.c \
    libgen/backends/moves.c \
    libgen/backends/cpu/copy.c \
    libgen/backends/cpu/copy_ops.c \
    libgen/backends/cpu/cpu.c \
    libgen/backends/cpu/elementwise.c \
    libgen/backends/cpu/index.c \
    libgen/backends/cpu/matvec.c \
    libgen/backends/cpu/norm.c \
    libgen/backends/cpu/pool.c \
    libgen/backends/cpu/reduce.c \
    libgen/backends/cpu/peak.c \
    libgen/backends/cpu/reference.c \
    libgen/backends/cpu/softmax.c \
    libgen/backends/cpu/train.c \
    libgen/backends/cpu/turn.c \
    libgen/backends/cpu/vector.c \
    libgen/backends/cpu/winograd.c \

BACKENDS_ONEDNN := \
    libgen/backends/cpu/conv.c \
    libgen/backends/cpu/conv_dw.c \
    libgen/backends/cpu/conv_form.c \
    libgen/backends/cpu/conv_kernels.c \
    libgen/backends/cpu/dnnl.c \
    libgen/backends/cpu/dnnl_ops.c \
    libgen/backends/cpu/dnnl_pack.c \
    libgen/backends/cpu/matmul.c \

BACKENDS_NO_ONEDNN := \
    libgen/backends/cpu/dnnl_none.c \

BACKENDS += $(if $(HAVE_ONEDNN),$(BACKENDS_ONEDNN),$(BACKENDS_NO_ONEDNN))

PLAN := \
    libgen/plan/adjoints.c \
    libgen/plan/choice.c \
    libgen/plan/constant.c \
    libgen/plan/dump.c \
    libgen/plan/far.c \
    libgen/plan/memory.c \
    libgen/plan/plan.c \
    libgen/plan/recompute.c \
    libgen/plan/rewrite.c \
    libgen/plan/rules.c \
    libgen/plan/sums.c \

NN := \
    libgen/nn/attention.c \
    libgen/nn/blocks.c \
    libgen/nn/conv_gru.c \
    libgen/nn/layers.c \
    libgen/nn/net.c \
    libgen/nn/params_init.c \
    libgen/nn/spectral_norm.c \

MODEL := \
    libgen/model/import.c \
    libgen/model/model.c \
    libgen/model/network.c \
    libgen/model/parts.c \
    libgen/model/pickle.c \
    libgen/model/save.c \
    libgen/model/safetensors.c \
    libgen/model/tensor_file.c \
    libgen/model/torch.c \

TRAIN := \
    libgen/train/checkpoint.c \
    libgen/train/curve.c \
    libgen/train/guard.c \
    libgen/train/history.c \
    libgen/train/loop.c \
    libgen/train/losses.c \
    libgen/train/optimiser.c \
    libgen/train/pending.c \
    libgen/train/phase.c \
    libgen/train/run_folder.c \
    libgen/train/saved.c \
    libgen/train/schedule.c \

METRICS := \
    metrics/cells.c \
    metrics/contingency.c \
    metrics/fss.c \
    metrics/pooled.c \
    metrics/probability.c \
    metrics/result.c \
    metrics/score.c \
    metrics/significance.c \
    metrics/spectrum.c \

# Pictures and films, for every room.
MEDIA := \
    media/palette.c \

MEDIA_DRAWING := \
    media/canvas.c \
    media/chart.c \
    media/png.c \

MEDIA_NO_DRAWING := \
    media/chart_none.c \

MEDIA_FFMPEG := \
    media/ffmpeg.c \
    media/film.c \

MEDIA_NO_FFMPEG := \
    media/film_none.c \

MEDIA += $(if $(HAVE_CODECS),$(MEDIA_DRAWING),$(MEDIA_NO_DRAWING))
MEDIA += $(if $(HAVE_FFMPEG),$(MEDIA_FFMPEG),$(MEDIA_NO_FFMPEG))

WEATHER := \
    weather/advection.c \
    weather/archive.c \
    weather/cascade.c \
    weather/codec/codec.c \
    weather/codec/confine.c \
    weather/codec/isolate.c \
    weather/codec/npy.c \
    weather/codec/npy_writer.c \
    weather/codec/raster.c \
    weather/codec/rate.c \
    weather/codec/unpack.c \
    weather/crop.c \
    weather/data.c \
    weather/dgmr.c \
    weather/dgmr_discriminator.c \
    weather/dgmr_import.c \
    weather/dgmr_loss.c \
    weather/dgmr_run.c \
    weather/dgmr_train.c \
    weather/dgmr_validate.c \
    weather/fill.c \
    weather/forecast_read.c \
    weather/inspect.c \
    weather/name_time.c \
    weather/nowcast.c \
    weather/products.c \
    weather/products_point.c \
    weather/series.c \
    weather/simulate.c \
    weather/steps.c \
    weather/time.c \
    weather/trace.c \
    weather/trained.c \
    weather/verify.c \

# What needs the libraries of CODEC_PKGS.
WEATHER_CODECS := \
    weather/codec/forecast_file.c \
    weather/codec/gif.c \
    weather/codec/geotiff.c \
    weather/codec/geotiff_keys.c \
    weather/codec/geotiff_metadata.c \
    weather/codec/geotiff_writer.c \
    weather/codec/grib.c \
    weather/codec/grib_grid.c \
    weather/codec/grib_png.c \
    weather/codec/grib_values.c \
    weather/codec/hdf5.c \
    weather/codec/hdf5_grid.c \
    weather/codec/hdf5_writer.c \
    weather/codec/knmi.c \
    weather/codec/netcdf.c \
    weather/codec/netcdf_attribute.c \
    weather/codec/netcdf_grid.c \
    weather/codec/netcdf_rain.c \
    weather/codec/netcdf_time.c \
    weather/codec/netcdf_units.c \
    weather/codec/netcdf_writer.c \
    weather/codec/nimrod.c \
    weather/codec/npz.c \
    weather/codec/odim.c \
    weather/codec/odim_writer.c \
    weather/codec/pgm.c \
    weather/codec/picture_table.c \
    weather/codec/png.c \
    weather/codec/proj_repair.c \
    weather/codec/radolan.c \
    weather/codec/products_file.c \
    weather/codec/sequence_file.c \
    weather/grid_mapping.c \
    weather/plot.c \
    weather/plot_axes.c \
    weather/plot_field.c \
    weather/plot_page.c \
    weather/projection.c \

WEATHER_NO_CODECS := \
    weather/codec/forecast_npy.c \
    weather/plot_none.c \
    weather/projection_none.c \

WEATHER += $(if $(HAVE_CODECS),$(WEATHER_CODECS),$(WEATHER_NO_CODECS))

CLI := \
    cli/arguments.c \
    cli/info.c \
    cli/main.c \
    cli/model.c \
    cli/model_run.c \
    cli/models.c \
    cli/networks.c \
    cli/terminal.c \

CLI_WEATHER := \
    cli/chart_page.c \
    cli/metrics.c \
    cli/metrics_json.c \
    cli/metrics_plot.c \
    cli/nowcast.c \
    cli/nowcast_film.c \
    cli/nowcast_live.c \
    cli/nowcast_pictures.c \
    cli/plot.c \
    cli/plot_maps.c \
    cli/product_pictures.c \
    cli/products.c \
    cli/radar.c \
    cli/radar_convert.c \
    cli/radar_info.c \
    cli/radar_products.c \
    cli/train_charts.c \
    cli/train_report.c \
    cli/train_samples.c \
    cli/train_summary.c \
    cli/train.c \
    cli/weather_files.c \

CLI += $(if $(HAVE_WEATHER),$(CLI_WEATHER))

# Test programs (cmocka), one a line; each links everything.
TESTS := \
    tests/check_ops.c \
    tests/golden/dgmr.c \
    tests/golden/dgmr_disc.c \
    tests/golden/dgmr_step.c \
    tests/golden/adam.c \
    tests/golden/advection.c \
    tests/golden/forecast.c \
    tests/golden/forecast_read.c \
    tests/golden/gan.c \
    tests/golden/layers.c \
    tests/golden/products.c \
    tests/golden/projection.c \
    tests/golden/radar_georef.c \
    tests/golden/radar_geotiff.c \
    tests/golden/radar_native.c \
    tests/golden/ops.c \
    tests/golden/verify.c \
    tests/property/plan.c \
    tests/unit/archive.c \
    tests/unit/backend.c \
    tests/unit/crop.c \
    tests/unit/cuda_emulator.c \
    tests/unit/advection.c \
    tests/unit/base.c \
    tests/unit/checkpoint.c \
    tests/unit/chart.c \
    tests/unit/curve.c \
    tests/unit/data.c \
    tests/unit/device_sums.c \
    tests/unit/dgmr.c \
    tests/unit/dgmr_disc.c \
    tests/unit/dgmr_hold.c \
    tests/unit/file.c \
    tests/unit/film.c \
    tests/unit/history.c \
    tests/unit/import.c \
    tests/unit/isolate.c \
    tests/unit/media.c \
    tests/unit/micro_batches.c \
    tests/unit/model.c \
    tests/unit/netcdf.c \
    tests/unit/netcdf_writer.c \
    tests/unit/nn.c \
    tests/unit/ops_plain.c \
    tests/unit/ops.c \
    tests/unit/plan.c \
    tests/unit/plan_device.c \
    tests/unit/recompute.c \
    tests/unit/nowcast.c \
    tests/unit/projection.c \
    tests/unit/plot.c \
    tests/unit/radar.c \
    tests/unit/radar_geotiff.c \
    tests/unit/radar_grib.c \
    tests/unit/radar_hdf5.c \
    tests/unit/radar_hdf5_damage.c \
    tests/unit/radar_pictures.c \
    tests/unit/radar_raster.c \
    tests/unit/score.c \
    tests/unit/series.c \
    tests/unit/steps.c \
    tests/unit/text.c \
    tests/unit/trace.c \
    tests/unit/train.c \
    tests/unit/train_device.c \
    tests/unit/trained.c \
    tests/unit/training_run.c \
    tests/unit/vec.c \
    tests/unit/winograd.c \

# The cases and checks of tests/check_ops.c.
CHECK_OPS := \
    tests/check_ops/conv.c \
    tests/check_ops/elementwise.c \
    tests/check_ops/gradient.c \
    tests/check_ops/kernels.c \
    tests/check_ops/matmul.c \
    tests/check_ops/norm.c \
    tests/check_ops/reduce.c \
    tests/check_ops/resample.c \
    tests/check_ops/shape.c \

# Fuzz targets: each defines LLVMFuzzerTestOneInput; seeds in tests/fuzz/corpus/<name>/.
FUZZ := \
    tests/fuzz/history.c \
    tests/fuzz/json.c \
    tests/fuzz/pickle.c \
    tests/fuzz/safetensors.c \

FUZZ_WEATHER := \
    tests/fuzz/geotiff.c \
    tests/fuzz/gif.c \
    tests/fuzz/grib.c \
    tests/fuzz/knmi.c \
    tests/fuzz/netcdf.c \
    tests/fuzz/nimrod.c \
    tests/fuzz/npy.c \
    tests/fuzz/npz.c \
    tests/fuzz/odim.c \
    tests/fuzz/pgm.c \
    tests/fuzz/picture.c \
    tests/fuzz/projection.c \
    tests/fuzz/radolan.c \

FUZZ += $(if $(HAVE_CODECS),$(FUZZ_WEATHER))

# Programs that `make bench` times, one a line.
BENCHES := \
    tests/bench/plans.c \
    tests/bench/read_radar.c \
    tests/bench/serve_gen.c \
    tests/bench/serve_scores.c \
    tests/bench/train_step.c \

# Kernel files built once per instruction set, chosen at run time: name.c -> name.<isa>.o with
# -DGEN_KERNEL_ISA=<isa>.
KERNELS := \
    libgen/backends/cpu/finish.c \
    libgen/backends/cpu/kernels/adam.c \
    libgen/backends/cpu/kernels/peak.c \
    libgen/backends/cpu/kernels/norm.c \
    libgen/backends/cpu/kernels/pool.c \
    libgen/backends/cpu/kernels/vec.c \
    libgen/backends/cpu/kernels/winograd.c \
    metrics/kernels/score.c \

# ---- rules ---------------------------------------------------------------------------------------
CORE := $(BASE) $(TENSOR) $(GRAPH) $(OPS) $(BACKENDS) $(PLAN) $(NN) $(MODEL) $(TRAIN) $(METRICS)
OBJ = $(patsubst %.c,$(B)/obj/%.o,$(1))
STAGED := $(foreach h,$(PUBLIC_HEADERS),$(B)/include/libgen/$(notdir $(h)))

# The compiler vectorises their loops; no option that changes values.
KERNEL_FLAGS := -O3 -fno-trapping-math -Wno-psabi
ISA_FLAGS_base :=
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c
ISA_FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mavx2 -mf16c
ISAS := $(if $(filter x86_64,$(shell uname -m)),base avx2 avx512,base)
KERNEL_OBJ := $(foreach k,$(KERNELS),$(foreach i,$(ISAS),$(B)/obj/$(k:.c=.$(i).o)))
CORE_OBJ := $(call OBJ,$(CORE)) $(KERNEL_OBJ)
WEATHER_OBJ := $(call OBJ,$(WEATHER) $(MEDIA))

STATIC := $(if $(HAVE_WEATHER),$(B)/libgen-weather.a) $(B)/libgen.a
SHARED := $(B)/libgen.so $(if $(HAVE_WEATHER),$(B)/libgen-weather.so)
PC := $(B)/libgen.pc $(if $(HAVE_WEATHER),$(B)/libgen-weather.pc)
LINKS := $(if $(HAVE_WEATHER),gen-nowcast)
# Trained models and their cards, where the tree has them.
MODELS := $(if $(HAVE_WEATHER),$(wildcard weather/models/*.safetensors weather/models/*.md))
LINK_LIBS = $(STATIC) $(if $(HAVE_WEATHER),$(WEATHER_LIBS)) $(CORE_LIBS)

.DEFAULT_GOAL := all
# What is found of CUDA, and how libgen-cuda.so is built.
include libgen/backends/cuda/cuda.mk
.PRECIOUS: $(B)/include/libgen/%.h
.DELETE_ON_ERROR:

## all: build/gen and the libraries
all: $(B)/gen $(STATIC) $(SHARED) $(PC) $(CUDA_SHARED)

# Asked before anything is compiled. Order-only, so that it rebuilds nothing.
ready:
	@if [ -n "$(MISSING)" ]; then \
	    echo "libgen: not found: $(MISSING); 'make deps' installs what is missing" >&2; exit 1; fi
	@if [ "$(WITH_WEATHER)" = yes -a -n "$(MISSING_WEATHER)" ]; then \
	    echo "libgen: WITH_WEATHER=yes, but not found: $(MISSING_WEATHER)" >&2; exit 1; fi
	@if [ "$(WITH_FFMPEG)" = yes -a -n "$(MISSING_FFMPEG)" ]; then \
	    echo "libgen: WITH_FFMPEG=yes, but not found: $(MISSING_FFMPEG)" >&2; exit 1; fi
	@if [ "$(WITH_CUDA)" = yes -a -n "$(MISSING_CUDA)" ]; then \
	    echo "libgen: WITH_CUDA=yes, but not found: $(MISSING_CUDA)" >&2; exit 1; fi

$(B)/include/libgen/%.h: libgen/%.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@
$(B)/include/libgen/%.h: metrics/%.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@
$(B)/include/libgen/%.h: weather/%.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@

# Rewritten only when the flags change; every object depends on it.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS)' > $@
FORCE:

$(B)/obj/%.o: %.c $(B)/flags | ready $(STAGED)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

# A loop over every cell that is read.
$(B)/obj/weather/codec/rate.o: CFLAGS_ALL += -O3 -fno-trapping-math

# The last place where it looks for bundled models. No stamp: an installation elsewhere is found first.
$(B)/obj/cli/models.o: private CFLAGS_ALL += -DGEN_DATADIR='"$(DATADIR)"'

define ISA_RULE
$(B)/obj/%.$(1).o: %.c $(B)/flags | ready $(STAGED)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_ALL) $$(PKG_CFLAGS) $$(KERNEL_FLAGS) $$(ISA_FLAGS_$(1)) $$(KERNEL_OPT) -DGEN_KERNEL_ISA=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call ISA_RULE,$(i))))

$(B)/libgen.a: $(CORE_OBJ)
$(B)/libgen-weather.a: $(WEATHER_OBJ)
$(B)/%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

SONAME = -shared -Wl,-soname,$(notdir $@).$(SOVERSION) -Wl,-z,defs
$(B)/libgen.so: $(CORE_OBJ)
	$(Q)$(CC) $(CFLAGS_ALL) $(SONAME) -o $@.$(VERSION) $^ $(LDFLAGS) $(CORE_LIBS)
	@ln -sf $(notdir $@).$(VERSION) $@.$(SOVERSION) && ln -sf $(notdir $@).$(SOVERSION) $@
$(B)/libgen-weather.so: $(WEATHER_OBJ) $(B)/libgen.so
	$(Q)$(CC) $(CFLAGS_ALL) $(SONAME) -o $@.$(VERSION) $(WEATHER_OBJ) $(LDFLAGS) -L$(B) -lgen $(WEATHER_LIBS)
	@ln -sf $(notdir $@).$(VERSION) $@.$(SOVERSION) && ln -sf $(notdir $@).$(SOVERSION) $@

# What loads libgen-cuda.so has all of libgen in it, to be seen.
WHOLE_LIBS = -rdynamic -Wl,--whole-archive $(B)/libgen.a -Wl,--no-whole-archive $(LINK_LIBS)

$(B)/gen: $(call OBJ,$(CLI)) $(STATIC)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $(call OBJ,$(CLI)) $(LDFLAGS) $(WHOLE_LIBS)
	@for l in $(LINKS); do ln -sf gen $(B)/$$l; done

define PC_TEXT
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCLUDEDIR)

Version: $(VERSION)
Cflags: -I$${includedir}
endef
export PC_TEXT
$(B)/libgen.pc: Makefile FORCE | $(B)/flags
	@printf '%s\n' "$$PC_TEXT" 'Name: libgen' 'Description: generative adversarial networks, the core' \
	    'Libs: -L$${libdir} -lgen' 'Requires.private: $(CORE_PKGS)' \
	    'Libs.private: $(if $(HAVE_ONEDNN),-ldnnl) -lgomp -lm -pthread' > $@
$(B)/libgen-weather.pc: Makefile FORCE | $(B)/flags
	@printf '%s\n' "$$PC_TEXT" 'Name: libgen-weather' 'Description: radar sequences and nowcasts' \
	    'Requires: libgen' 'Libs: -L$${libdir} -lgen-weather' 'Requires.private: $(WEATHER_PKGS)' \
	    'Libs.private: $(if $(HAVE_CODECS),-lgeotiff)' > $@

# ---- on a fresh machine ----------------------------------------------------------------------------
# Both call make again, because pkg-config may have come with deps; on all processors, unless told.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1))
## demo: installs what is missing, builds, leaves a forecast and its pictures in out/
demo: deps
	@+$(MAKE) --no-print-directory $(JOBS) run-demo

## test: installs what is missing, builds, runs every test
test: deps
	@+$(MAKE) --no-print-directory $(JOBS) run-tests

DEBS := $(CORE_DEBS) $(if $(filter no,$(WITH_WEATHER)),,$(WEATHER_DEBS) $(if $(filter no,$(WITH_FFMPEG)),,$(FFMPEG_DEBS))) $(TEST_DEBS)
## deps: installs missing libraries with apt where it may, else prints the line to run
deps:
	@B=$(B) bash tests/deps.sh $(DEBS)

run-demo: all
	@bash examples/demo.sh $(B)/gen out

# ---- tests -------------------------------------------------------------------------------------------
# Without the weather room or FFmpeg their tests are left out.
ROOM_TESTS := $(if $(HAVE_WEATHER),,$(shell grep -lE '"(weather|media)/|<libgen/(weather|plot|products|verify)|"tests/(radar|hdf5)_' $(TESTS)))
ROOM_TESTS += $(if $(HAVE_FFMPEG),,$(shell grep -lE '<libav' $(TESTS)))
TEST_PROGRAMS := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out $(ROOM_TESTS),$(TESTS)))
FUZZ_NAMES := $(notdir $(FUZZ:.c=))
FUZZ_PROGRAMS := $(FUZZ_NAMES:%=$(B)/fuzz/%)

$(B)/tests/unit/film: TEST_LIBS += $(FFMPEG_LIBS)
$(B)/tests/check_ops: $(call OBJ,$(CHECK_OPS))
$(B)/tests/%: tests/%.c $(STATIC) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -MMD -MP -MF $@.d $< $(filter %.o,$^) -o $@ $(LDFLAGS) $(WHOLE_LIBS) $(TEST_LIBS)

$(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/main.c $(STATIC) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) tests/fuzz/$*.c tests/fuzz/main.c -o $@ $(LDFLAGS) $(LINK_LIBS)

run-tests: all unit-programs
	@B=$(B) MAKE="$(MAKE)" CC="$(CC)" bash tests/run.sh $(TEST_PROGRAMS) -- $(FUZZ_PROGRAMS) -- tests/cli/*.sh

unit-programs: test-ready $(TEST_PROGRAMS) $(FUZZ_PROGRAMS) $(EMULATED)
test-ready:
	@if [ -n "$(MISSING_TEST)" ]; then \
	    echo "libgen: not found: $(MISSING_TEST); 'make deps' installs what is missing" >&2; exit 1; fi

# Unit tests and fuzz corpora of a build of its own, under a sanitizer.
sanitized-tests: $(B)/gen unit-programs
	@B=$(B) bash tests/run.sh $(TEST_PROGRAMS) -- $(FUZZ_PROGRAMS)

SAN_MAKE = +$(MAKE) --no-print-directory OPT="-O1 -g -fno-omit-frame-pointer"
## asan: the unit tests under AddressSanitizer and LeakSanitizer
asan:
	@$(SAN_MAKE) B=$(B)-asan SANITIZE="-fsanitize=address" sanitized-tests
## ubsan: the unit tests under UndefinedBehaviorSanitizer
ubsan:
	@$(SAN_MAKE) B=$(B)-ubsan SANITIZE="-fsanitize=undefined -fno-sanitize-recover=all" sanitized-tests
## tsan: the unit tests under ThreadSanitizer (libgomp is not instrumented, so OpenMP has one thread)
tsan:
	@OMP_NUM_THREADS=1 $(MAKE) --no-print-directory OPT="-O1 -g" B=$(B)-tsan SANITIZE="-fsanitize=thread" sanitized-tests
sanitize:
	@$(SAN_MAKE) B=$(B)-san SANITIZE="$(SAN_BOTH)" sanitized-tests

FUZZ_SECONDS ?= 60
FUZZ_EACH = $(shell echo $$(( ($(FUZZ_SECONDS) + $(words $(FUZZ)) - 1) / $(words $(FUZZ)) )))
# A clang that has libFuzzer; Debian packages it apart (libclang-rt-N-dev).
CLANG := $(shell for c in clang clang-19 clang-17 clang-16 clang-15 clang-14; do \
    ls "$$($$c -print-runtime-dir 2>/dev/null)"/libclang_rt.fuzzer*.a >/dev/null 2>&1 && echo $$c && break; done)
SAN_BOTH := -fsanitize=address,undefined -fno-sanitize-recover=all
## fuzz: every fuzz target, FUZZ_SECONDS=60 in all, with sanitizers (libFuzzer where clang is there)
ifeq ($(CLANG),)
fuzz:
	@$(SAN_MAKE) B=$(B)-san SANITIZE="$(SAN_BOTH)" run-fuzz
else
fuzz:
	@$(SAN_MAKE) B=$(B)-fuzz CC=$(CLANG) WERROR="-Wno-unknown-warning-option -Wno-pass-failed" \
	    KERNEL_OPT=-O0 SANITIZE="$(SAN_BOTH) -fsanitize=fuzzer-no-link" run-libfuzzer
endif

run-fuzz: $(FUZZ_PROGRAMS)
	@for f in $(FUZZ_NAMES); do \
	    $(B)/fuzz/$$f --seconds $(FUZZ_EACH) tests/fuzz/corpus/$$f || exit 1; done

$(B)/libfuzzer/%: tests/fuzz/%.c $(STATIC) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -fsanitize=fuzzer $< -o $@ $(LDFLAGS) $(LINK_LIBS)

# What it finds interesting stays in $(B)/corpus and is where the next run begins.
run-libfuzzer: $(FUZZ_NAMES:%=$(B)/libfuzzer/%)
	@for f in $(FUZZ_NAMES); do \
	    mkdir -p $(B)/corpus/$$f; echo "fuzz $$f, $(FUZZ_EACH) s"; \
	    $(B)/libfuzzer/$$f -max_total_time=$(FUZZ_EACH) -timeout=10 -max_len=65536 -verbosity=0 \
	        -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix=$(B)/crash-$$f- \
	        $(B)/corpus/$$f tests/fuzz/corpus/$$f >$(B)/$$f.log 2>&1 || { tail -40 $(B)/$$f.log; exit 1; }; \
	    grep -E 'executed_units|peak_rss' $(B)/$$f.log; done

## bench: speed beside the peers that are installed
bench: all $(patsubst %.c,$(B)/%,$(BENCHES))
	@B=$(B) bash tests/bench/run.sh

# check-gpu, bench-gpu, gpu-kit.
include tests/gpu/gpu.mk

## train-nowcast: the model of weather/models trained anew, into out/train-nowcast (HOURS=1.5)
train-nowcast: all
	@bash weather/models/train.sh $(B)/gen out/train-nowcast $(HOURS)

NOWCAST ?= weather/models/nowcast.safetensors
PEERS ?= $(HOME)/.cache/libgen-peers
## nowcast-table: scores and pictures of the model NOWCAST on the held-out events of GEN_SHARED
nowcast-table: PYTHON = $(firstword $(wildcard $(PEERS)/venv/bin/python) python3)
nowcast-table: all
	@$(PYTHON) tests/bench/nowcast_table.py $(B) --model $(NOWCAST) --work $(B)/nowcast-table \
	    --markdown $(B)/nowcast-table.md
	@$(PYTHON) tests/bench/nowcast_cases.py $(B) --model $(NOWCAST) --out $(B)/nowcast-cases

## lint: include order, blanks, file length, calls that a library may not make, header-test
lint: header-test
	@bash tests/lint.sh

## header-test: each public header compiles alone, as C11 and as C++17
header-test: $(STAGED)
	@for h in $(notdir $(PUBLIC_HEADERS)); do \
	    echo "#include <libgen/$$h>" | $(CC) -std=c11 -Wall -Wextra -Werror -I$(B)/include -fsyntax-only -xc - || exit 1; \
	    if command -v $(CXX) >/dev/null; then \
	    echo "#include <libgen/$$h>" | $(CXX) -std=c++17 -Wall -Wextra -Werror -I$(B)/include -fsyntax-only -xc++ - || exit 1; \
	    fi; done

# ---- the rest ----------------------------------------------------------------------------------------
## install: into DESTDIR/PREFIX (PREFIX=/usr/local)
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/libgen
	install -m 755 $(B)/gen $(DESTDIR)$(BINDIR)
	for l in $(LINKS); do ln -sf gen $(DESTDIR)$(BINDIR)/$$l; done
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	for s in $(notdir $(SHARED)); do install -m 755 $(B)/$$s.$(VERSION) $(DESTDIR)$(LIBDIR) && \
	    ln -sf $$s.$(VERSION) $(DESTDIR)$(LIBDIR)/$$s.$(SOVERSION) && \
	    ln -sf $$s.$(SOVERSION) $(DESTDIR)$(LIBDIR)/$$s || exit 1; done
	if [ -n "$(CUDA_SHARED)" ]; then install -m 755 $(B)/libgen-cuda.so.$(VERSION) $(DESTDIR)$(LIBDIR) && \
	    ln -sf libgen-cuda.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgen-cuda.so.$(SOVERSION); fi
	install -m 644 $(PC) $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(INCLUDEDIR)/libgen
	if [ -n "$(MODELS)" ]; then install -d $(DESTDIR)$(DATADIR)/models && \
	    install -m 644 $(MODELS) $(DESTDIR)$(DATADIR)/models; fi

## uninstall: removes what install put there
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/gen $(LINKS:%=$(DESTDIR)$(BINDIR)/%)
	rm -f $(foreach l,libgen libgen-weather,$(DESTDIR)$(LIBDIR)/$(l).a $(DESTDIR)$(LIBDIR)/$(l).so* \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/$(l).pc) $(DESTDIR)$(LIBDIR)/libgen-cuda.so*
	rm -rf $(DESTDIR)$(INCLUDEDIR)/libgen $(DESTDIR)$(DATADIR)/models
	-rmdir $(DESTDIR)$(DATADIR) 2>/dev/null

## config: what was found
config:
	@echo 'libgen $(VERSION), $(CC), $(OPT), kernels for: $(ISAS)'
	@echo 'core:    $(if $(MISSING),missing $(MISSING),yes) ($(CORE_PKGS) $(if $(HAVE_ONEDNN),onednn,without onednn))'
	@echo 'weather: $(if $(HAVE_WEATHER),yes,no)$(if $(HAVE_WEATHER),$(if $(HAVE_CODECS),, without codecs)) (WITH_WEATHER=$(WITH_WEATHER)$(if $(MISSING_WEATHER),; missing $(MISSING_WEATHER)))'
	@echo 'films:   $(if $(HAVE_FFMPEG),yes,no) (WITH_FFMPEG=$(WITH_FFMPEG)$(if $(MISSING_FFMPEG),; missing $(MISSING_FFMPEG)))'
	@echo 'cuda:    $(if $(HAVE_CUDA),yes,no) (WITH_CUDA=$(WITH_CUDA)$(if $(MISSING_CUDA),; missing $(MISSING_CUDA),; $(CUDA_HOME) for sm_$(subst $(_space),$(_comma) sm_,$(CUDA_ARCHS))))'
	@echo 'tests:   $(if $(MISSING_TEST),missing $(MISSING_TEST),yes)'

## format: clang-format on the sources that git knows
format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

## clean: removes everything built
clean:
	rm -rf $(B) $(B)-asan $(B)-ubsan $(B)-tsan $(B)-san $(B)-fuzz

## help: this list
help:
	@awk -F': ' '/^## / { sub(/^## /, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' Makefile tests/gpu/gpu.mk

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: all asan bench clean config demo deps format fuzz header-test help install lint nowcast-table ready \
    run-demo run-fuzz run-libfuzzer run-tests sanitize sanitized-tests test test-ready train-nowcast tsan ubsan uninstall \
    unit-programs FORCE
