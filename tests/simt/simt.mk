# The SIMT machine: CUDA sources as C++, run without a GPU. Needs the CUDA runtime's headers, not a driver. Where no toolkit
# is, `make test` fetches them first (headers.sh); where that fails it is said, and REQUIRE=simt or REQUIRE_ALL=1 make it a failure.
SIMT_INCLUDE := $(if $(wildcard $(CUDA)/include/cuda_fp16.h),$(CUDA)/include,build/cuda-headers/include)
SIMT_HEADERS := $(wildcard $(SIMT_INCLUDE)/cuda_fp16.h)
# Vector loads read one type through another, as device code does.
SIMT_FLAGS := -Itests/simt/cublas -isystem $(SIMT_INCLUDE) -fno-strict-aliasing -Wno-pedantic

$(B)/obj/tests/simt/%.cc.o: tests/simt/%.cc
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
$(B)/obj/simt/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(call say,SIMT,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -include tests/simt/device.cuh -MF $(@:.o=.d) -MT $@ -x c++ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@

SIMT_MACHINE := $(patsubst %,$(B)/obj/tests/simt/%.cc.o,machine fault memory stream cudart cublaslt)
SIMT_LINK = $(Q)$(CXX) $(SAN) -o $@.$$$$ $(filter %.o,$^) -ldl -pthread && mv -f $@.$$$$ $@
$(B)/test/simt/selftest: $(B)/obj/tests/simt/selftest.cc.o $(B)/obj/simt/tests/simt/kernels.cu.o $(SIMT_MACHINE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(SIMT_LINK)
$(B)/test/simt/faults: $(patsubst %,$(B)/obj/tests/simt/%.cc.o,faults faults_graph faults_library) $(B)/obj/simt/tests/simt/faults.cu.o $(SIMT_MACHINE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(SIMT_LINK)
# kernels/cuda against the scalar CPU backend: tests/kernels/cuda*.cc.
SIMT_TABLE := $(sort $(wildcard tests/kernels/*.cc))
$(patsubst %,$(B)/obj/%.o,$(SIMT_TABLE)): $(B)/obj/%.o: %
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
$(B)/test/simt/cuda: $(patsubst %,$(B)/obj/%.o,$(SIMT_TABLE)) $(patsubst %,$(B)/obj/simt/%.o,$(sort $(wildcard kernels/cuda/*.cu))) $(SIMT_MACHINE) $(call link_deps,kernels)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(call link,kernels) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
# The whole backend as a plugin for the programs of this tree: `--device simt`.
SIMT_PLUGIN := $(B)/lib/ferretry/ferret-simt.so
PLUGIN_NEEDS = $(B)/obj/kernels/dtype.c.o $(call archive,base)
$(SIMT_PLUGIN): $(patsubst %,$(B)/obj/simt/%.o,$(sort $(wildcard kernels/cuda/*.cu))) $(SIMT_MACHINE) $(PLUGIN_NEEDS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(SAN) -shared -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -o $@.$$$$ $^ -ldl -lm -pthread && mv -f $@.$$$$ $@
SIMT_PROGRAMS := $(B)/test/simt/selftest $(B)/test/simt/faults $(B)/test/simt/cuda $(B)/test/simt/step
SIMT_PARITY := $(B)/test/parity/golden
# What the address sanitizer says of planted faults is wanted on stderr, not among the reports that count.
SIMT_RUNS := $(B)/test/simt/selftest 'env -u ASAN_OPTIONS $(B)/test/simt/faults' $(B)/test/simt/cuda

.PHONY: simt
TEST_STEPS += simt
ifneq ($(SIMT_HEADERS),)
TEST_PROGRAMS += $(SIMT_PROGRAMS) $(SIMT_PLUGIN) $(GPU_BENCH) $(GPU_WHOLE)
simt: $(SIMT_PROGRAMS) $(SIMT_PLUGIN) $(SIMT_PARITY) $(GPU_BENCH) ## CUDA sources run on a machine without a GPU, and planted faults are found
	@failed=0; for p in $(SIMT_RUNS) $(if $(SANITIZER),,'$(B)/test/simt/step bf16' '$(SIMT_PARITY) simt tiny' 'tests/gpu/smoke.sh $(GPU_BENCH)'); do $$p || failed=1; done; exit $$failed
else
simt:
	@if [ -n '$(call required,simt)' ]; then echo 'FAIL simt: no CUDA headers in $(CUDA)/include or $(SIMT_INCLUDE)'; exit 1; else echo 'SKIP simt: no CUDA headers in $(CUDA)/include or $(SIMT_INCLUDE)'; fi
endif

.PHONY: simt-orders
FULL_STEPS += simt-orders
ifneq ($(SIMT_HEADERS),)
simt-orders: $(B)/test/simt/cuda $(B)/test/simt/step $(SIMT_PLUGIN) $(SIMT_PARITY) $(GPU_WHOLE) ## the CUDA backend in the other orders of threads and blocks
	@failed=0; for p in '$(B)/test/simt/cuda reverse random' '$(B)/test/simt/step f32 int8' '$(SIMT_PARITY) simt:1 all' '$(SIMT_PARITY) simt:2 tiny' '$(SIMT_PARITY) simt tiny bf16 f16 int8' '$(GPU_WHOLE) simt tiny f32 fp8'; do \
	  $$p || failed=1; done; exit $$failed
else
simt-orders: ;
endif

# The plugin itself, so that no source compiles for the machine alone.
.PHONY: nvcc
TEST_STEPS += nvcc
UNSANITIZED_STEPS += nvcc
ifneq ($(NVCC),)
TEST_PROGRAMS += $(if $(filter build,$(B)),$(CUDA_PLUGIN))
nvcc: plugin ## the CUDA plugin compiles for every architecture
	@echo 'PASS nvcc: the plugin for $(CUDA_ARCHITECTURES:%=sm_%)'
else
nvcc:
	@if [ -n '$(call required,nvcc)' ]; then echo 'FAIL nvcc: not here'; exit 1; else echo 'SKIP nvcc: not here'; fi
endif

.PHONY: simt-headers
simt-headers: ## the CUDA headers of the emulated suites, from PyPI where no toolkit is
	@[ -n '$(SIMT_HEADERS)' ] || tests/simt/headers.sh build/cuda-headers || true
