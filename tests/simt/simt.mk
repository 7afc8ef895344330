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
SIMT_PROGRAMS := $(B)/test/simt/selftest $(B)/test/simt/faults

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
