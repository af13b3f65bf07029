# SPDX-License-Identifier: Apache-2.0
#
# On a machine with a GPU (README.md). Part of the Makefile.

DEVICE ?= cuda
GPU_TESTS := check_ops golden/adam golden/dgmr golden/dgmr_disc golden/dgmr_step golden/gan golden/layers property/plan
GPU_BENCHES := bench/serve_gen bench/train_step
## check-gpu: ops, networks and a training step on the device (DEVICE=cuda), as one table
check-gpu: all $(GPU_TESTS:%=$(B)/tests/%)
	@B=$(B) bash tests/gpu/run.sh check --device $(DEVICE)

## bench-gpu: forecasts and turns of training on the device beside PyTorch
bench-gpu: all $(GPU_BENCHES:%=$(B)/tests/%)
	@B=$(B) bash tests/gpu/run.sh bench --device $(DEVICE)

## gpu-kit: gpu-kit.tar.gz, which checks, times and trains on a bare machine with a GPU
gpu-kit: all
	@MAKE="$(MAKE)" CUDA_SHARED=$(CUDA_SHARED) bash tests/gpu/kit.sh $(B) $(GPU_TESTS) $(GPU_BENCHES)

.PHONY: bench-gpu check-gpu gpu-kit
