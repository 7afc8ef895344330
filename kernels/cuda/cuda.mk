# The CUDA backend: a plugin that the programs load where a device is asked for; no program needs it to start. Needs nvcc. One object a source, all architectures in it; CUDA_ARCHITECTURES=90 is quicker while one works on it.
CUDA ?= /usr/local/cuda
NVCC ?= $(or $(shell command -v nvcc 2>/dev/null),$(wildcard $(CUDA)/bin/nvcc))
ifneq ($(NVCC),)
NVCC_RELEASE := $(shell $(NVCC) --version | sed -nE 's/.*release ([0-9]+)\.([0-9]+).*/\1 \2/p' | awk '{ print $$1 * 100 + $$2 }')
# 100 and 120 came with nvcc 12.8.
CUDA_ARCHITECTURES ?= 80 86 89 90$(shell [ "$(NVCC_RELEASE)" -ge 1208 ] && echo ' 100 120')
endif
# The last one is in the plugin as PTX too, for what comes after it.
CUDA_PTX := $(lastword $(CUDA_ARCHITECTURES))
NVCC_FLAGS := -std=c++17 -O3 -I. -Werror all-warnings -Xcompiler -fPIC,-fvisibility=hidden,-pthread \
  $(foreach a,$(CUDA_ARCHITECTURES),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_$(CUDA_PTX),code=compute_$(CUDA_PTX)
CUDA_SOURCES := $(sort $(wildcard kernels/cuda/*.cu))
CUDA_PLUGIN := build/lib/ferretry/ferret-cuda.so
CUDA_OBJECTS := $(patsubst %,build/obj/nvcc/%.o,$(CUDA_SOURCES))

# nvcc takes seconds an architecture: sources without a kernel go to the host's compiler alone.
CUDA_HOST_SOURCES := $(shell grep -L __global__ $(CUDA_SOURCES))
$(patsubst %,build/obj/nvcc/%.o,$(CUDA_HOST_SOURCES)): build/obj/nvcc/%.o: %
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -isystem $(CUDA)/include -fvisibility=hidden -MF $(@:.o=.d) -MT $@ -x c++ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
build/obj/nvcc/%.cu.o: %.cu build/obj/nvcc/flags
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(NVCC) $(NVCC_FLAGS) -MMD -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
# Other architectures or another nvcc are another build.
.PHONY: cuda-flags-changed
build/obj/nvcc/flags: cuda-flags-changed
	@mkdir -p $(@D)
	@echo '$(NVCC_RELEASE) $(NVCC_FLAGS)' | cmp -s - $@ || echo '$(NVCC_RELEASE) $(NVCC_FLAGS)' >$@
$(CUDA_PLUGIN): $(CUDA_OBJECTS) build/obj/kernels/dtype.c.o build/obj/base/status.c.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(NVCC) -shared -cudart static -Xlinker --exclude-libs,ALL -o $@.$$$$ $(filter %.o,$^) -lcublasLt && mv -f $@.$$$$ $@

.PHONY: plugin
ifneq ($(NVCC),)
plugin: $(CUDA_PLUGIN) ## the CUDA backend, where nvcc is
else
plugin:
	@echo '  no nvcc: the programs are built without the CUDA plugin and run on the CPU'
endif

.PHONY: cuda-report
cuda-report: ## registers, spilled bytes and shared memory of every CUDA kernel, and its inner loops' instructions (needs nvcc)
	@disassembler=$$(command -v nvdisasm); [ -n "$$disassembler" ] || ! kernels/cuda/nvdisasm.sh build/cuda-tools || disassembler=build/cuda-tools/nvdisasm; \
	kernels/cuda/report.sh $(NVCC) $$disassembler
