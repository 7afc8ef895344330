# What runs on a machine that has CUDA, gcc and make and nothing else prepared: no package of `make deps`. Programs link
# libc, those files of the product that include no other library, and stand-ins for the rest (tests/gpu/seeded).
SEEDED_PARTS := $(filter-out base/json.c kernels/cpu/gemm.c model/zip.c,$(filter %.c,$(foreach r,base kernels model,$(call sources,$(r)))))
SEEDED_LIBRARY := $(B)/lib/libseeded.a
SEEDED := $(patsubst %,$(B)/obj/%.o,$(sort $(wildcard tests/gpu/seeded/*.c)))
SEEDED_LIBS := -ldl -lm -pthread
$(SEEDED_LIBRARY): $(patsubst %,$(B)/obj/%.o,$(SEEDED_PARTS))
	@mkdir -p $(@D)
	@rm -f $@.$$$$ && ar rcs $@.$$$$ $^ && mv -f $@.$$$$ $@

GPU_BENCH := $(B)/test/gpu/bench
GPU_WHOLE := $(B)/test/gpu/whole
$(GPU_BENCH): $(patsubst %,$(B)/obj/tests/gpu/%.c.o,bench bench_kernels bench_model limits)
$(GPU_WHOLE): $(B)/obj/tests/gpu/whole.c.o
$(GPU_BENCH) $(GPU_WHOLE): $(SEEDED) $(SEEDED_LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(filter %.a,$^) $(SEEDED_LIBS) && mv -f $@.$$$$ $@

# The kernels' table, with a device's own order in place of the emulator's.
GPU_TABLE := $(B)/test/gpu/cuda
$(B)/obj/tests/kernels/gpu/order.cc.o: tests/kernels/gpu/order.cc
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
$(GPU_TABLE): $(patsubst %,$(B)/obj/%.o,$(filter-out tests/kernels/order.cc,$(sort $(wildcard tests/kernels/*.cc))) tests/kernels/gpu/order.cc) $(CUDA_OBJECTS) $(SEEDED) $(SEEDED_LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(filter %.a,$^) -L$(CUDA)/lib64 -Wl,-rpath,$(CUDA)/lib64 -lcudart -lcublasLt $(SEEDED_LIBS) && mv -f $@.$$$$ $@

GPU ?= cuda:0
# The golden cases read checkpoints and pictures, which takes the packages of `make deps`.
GOLDEN_NEEDS = $(shell pkg-config --exists $(PKG) sentencepiece 2>/dev/null && echo '\#include <oneapi/dnnl/dnnl.h>' | $(CC) -fsyntax-only -x c - 2>/dev/null && echo here)

# Where no driver is, a program says so before two minutes go into a plugin.
.PHONY: test-gpu bench-gpu
test-gpu: $(GPU_WHOLE) ## the kernels' table, a seeded model beside the CPU, and the golden cases on the GPU of this machine (GPU=cuda:0)
	@[ -e /dev/nvidiactl ] || exec $(GPU_WHOLE) $(GPU) small f32
	@$(MAKE) --no-print-directory plugin $(if $(NVCC),$(GPU_TABLE)) $(if $(GOLDEN_NEEDS),$(SIMT_PARITY))
	@failed=0; for p in $(if $(NVCC),$(GPU_TABLE)) '$(GPU_WHOLE) $(GPU) small' $(if $(GOLDEN_NEEDS),'$(SIMT_PARITY) $(GPU) all f32 bf16 f16 int8'); do $$p || failed=1; done; \
	[ -n '$(GOLDEN_NEEDS)' ] || echo 'SKIP golden: the packages of `make deps` are not here'; exit $$failed
bench-gpu: $(GPU_BENCH) ## measure the GPU of this machine on a seeded 7B: JSON under build/bench, and a table (GPU=cuda:0)
	@mkdir -p build/bench && rm -f build/bench/gpu.*.json
	@[ -e /dev/nvidiactl ] || exec $(GPU_BENCH) build/bench $(GPU) 7b
	@$(MAKE) --no-print-directory plugin
	@$(GPU_BENCH) build/bench $(GPU) 7b; failed=$$?; ! command -v python3 >/dev/null || tests/bench/table.py build/bench; exit $$failed
