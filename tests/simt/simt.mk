# The SIMT machine: CUDA sources as C++, run without a GPU. Needs the CUDA headers, not a driver; where they are missing
# that is said, and REQUIRE_ALL=1 makes it a failure.
CUDA ?= /usr/local/cuda
SIMT_HEADERS := $(wildcard $(CUDA)/include/cuda_fp16.h)
# Vector loads read one type through another, as device code does.
SIMT_FLAGS := -isystem $(CUDA)/include -fno-strict-aliasing -Wno-pedantic

$(B)/obj/tests/simt/%.cc.o: tests/simt/%.cc
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
$(B)/obj/simt/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(call say,SIMT,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) $(SIMT_FLAGS) -include tests/simt/device.cuh -MF $(@:.o=.d) -MT $@ -x c++ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@

SIMT_MACHINE := $(patsubst %,$(B)/obj/tests/simt/%.cc.o,machine fault memory stream cudart)
SIMT_LINK = $(Q)$(CXX) $(SAN) -o $@.$$$$ $(filter %.o,$^) -ldl -pthread && mv -f $@.$$$$ $@
$(B)/test/simt/selftest: $(B)/obj/tests/simt/selftest.cc.o $(B)/obj/simt/tests/simt/kernels.cu.o $(SIMT_MACHINE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(SIMT_LINK)
$(B)/test/simt/faults: $(B)/obj/tests/simt/faults.cc.o $(B)/obj/simt/tests/simt/faults.cu.o $(SIMT_MACHINE)
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
SIMT_PROGRAMS := $(B)/test/simt/selftest $(B)/test/simt/faults $(B)/test/simt/cuda

.PHONY: simt
TEST_STEPS += simt
ifneq ($(SIMT_HEADERS),)
TEST_PROGRAMS += $(SIMT_PROGRAMS)
simt: $(SIMT_PROGRAMS) ## CUDA sources run on a machine without a GPU, and planted faults are found
	@failed=0; for p in $(SIMT_PROGRAMS); do $$p || failed=1; done; exit $$failed
else
simt:
	@if [ "$(REQUIRE_ALL)" = 1 ]; then echo 'FAIL simt: no CUDA headers in $(CUDA)/include'; exit 1; else echo 'SKIP simt: no CUDA headers in $(CUDA)/include'; fi
endif

.PHONY: simt-orders
FULL_STEPS += simt-orders
ifneq ($(SIMT_HEADERS),)
simt-orders: $(B)/test/simt/cuda ## the CUDA kernels in the other orders of threads and blocks
	@$< reverse random
else
simt-orders: ;
endif

# Every kernel through nvcc as well, so that none compiles for the machine alone.
NVCC ?= $(or $(shell command -v nvcc 2>/dev/null),$(wildcard $(CUDA)/bin/nvcc))
NVCC_FLAGS := -std=c++17 -O3 -I. -Werror all-warnings -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90
CUDA_OBJECTS := $(patsubst %,$(B)/obj/nvcc/%.o,$(sort $(wildcard kernels/cuda/*.cu)) tests/simt/kernels.cu)
$(B)/obj/nvcc/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(NVCC) $(NVCC_FLAGS) -MMD -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
.PHONY: nvcc
TEST_STEPS += nvcc
UNSANITIZED_STEPS += nvcc
ifneq ($(NVCC),)
nvcc: $(CUDA_OBJECTS) ## every CUDA kernel compiles for sm_80 and sm_90
	@echo 'PASS nvcc: $(words $(CUDA_OBJECTS)) files for sm_80 and sm_90'
else
nvcc:
	@if [ "$(REQUIRE_ALL)" = 1 ]; then echo 'FAIL nvcc: not here'; exit 1; else echo 'SKIP nvcc: not here'; fi
endif
