# Ferretry. `make help` lists the targets; ARCHITECTURE.md says what lives where.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.SECONDARY: # objects of one-file programs are kept

CC ?= gcc
CXX ?= g++
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
# A variant has its own tree of objects: build/, build/clang, build/address-undefined, ...
comma := ,
VARIANT := $(if $(findstring clang,$(CC)),clang)$(if $(SANITIZER),$(if $(findstring clang,$(CC)),-)$(subst $(comma),-,$(SANITIZER)))
B ?= build$(if $(VARIANT),/$(VARIANT))
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

PKG := libzmq hiredis vips libcurl expat yajl jansson libzstd zlib libmicrohttpd
MSGPACK := $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKG) $(MSGPACK) 2>/dev/null | sed 's/-I/-isystem /g')
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wwrite-strings -Wvla -Wformat=2 -Wno-switch-default -Werror
WARN_C := -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion
ifeq ($(findstring clang,$(CC)),)
WARN_C += -Wno-format-truncation
endif
INSTRUMENT := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# --wrap: tests/sanitize/confined.c. One runtime for both, as clang has it: GCC's shared libubsan has no report file.
SAN := $(INSTRUMENT) $(if $(SANITIZER),-Wl$(comma)--wrap=sandbox_enter) $(if $(findstring clang,$(CC)),,$(if $(findstring undefined,$(SANITIZER)),-static-libasan -static-libubsan))
OPT ?= -O2 -g
# No contraction: a fused multiply-add where the source has none would change bits between compilers (design 5).
COMMON := $(OPT) -pthread -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -I. $(INSTRUMENT) -MMD -MP -D_GNU_SOURCE
CFLAGS_ALL := -std=c11 $(COMMON) $(WARN) $(WARN_C) $(PKG_CFLAGS) $(CFLAGS)
CXXFLAGS_ALL := -std=c++17 $(COMMON) $(WARN) $(PKG_CFLAGS) $(CXXFLAGS)
LDLIBS_ALL := $(shell pkg-config --libs $(PKG) $(MSGPACK) 2>/dev/null) -lsentencepiece -ldnnl -lgomp -lstdc++ -ldl -lm -pthread

# One static library a room; a program or test links only what its arrows allow (design 2).
ROOMS := base protocol kernels model media formats observe broker worker cli
NEEDS_base :=
NEEDS_protocol := base
NEEDS_kernels := base
NEEDS_model := kernels base
NEEDS_media := base
NEEDS_formats := protocol base
NEEDS_observe := base
NEEDS_broker := observe media protocol base
NEEDS_worker := model kernels media protocol observe base
NEEDS_cli := worker model kernels media formats protocol observe base

MAINS := broker/main.c worker/main.c cli/main.c
sources = $(filter-out $(MAINS),$(sort $(wildcard $(1)/*.c $(1)/*/*.c $(1)/*.cc $(1)/*/*.cc)))
binaries = $(sort $(wildcard $(1)/scripts/*.lua $(1)/assets/*))
objects = $(patsubst %,$(B)/obj/%.o,$(call sources,$(1)) $(call binaries,$(1)) $(if $(SANITIZER),$(SANITIZED_$(1))))
SANITIZED_media := tests/sanitize/confined.c
archive = $(B)/lib/lib$(1).a
# Inside a group the order of archives does not matter to the linker; which archives are in it is what the arrows are about.
link = -Wl,--start-group $(foreach r,$(1) $(NEEDS_$(1)),$(call archive,$(r))) -Wl,--end-group
link_deps = $(foreach r,$(1) $(NEEDS_$(1)),$(call archive,$(r)))

# Quiet by default; V=1 shows every command.
Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)  $(2)')

PROGRAMS := $(B)/bin/ferret $(B)/bin/ferret-broker $(B)/bin/ferret-worker

include kernels/cuda/cuda.mk

# nvcc takes two minutes for all architectures: `make` spends them where there is a GPU, `make plugin`, `make test` and
# `make install` anywhere. A variant shares the plugin of the plain build.
.PHONY: all
all: $(PROGRAMS) $(if $(VARIANT),,$(if $(wildcard /dev/nvidiactl),plugin)) ## build the three programs into build/bin; on a machine with a GPU the CUDA plugin too

$(B)/bin/ferret: $(B)/obj/cli/main.c.o $(call link_deps,cli)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $< $(call link,cli) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/bin/ferret-broker: $(B)/obj/broker/main.c.o $(call link_deps,broker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $< $(call link,broker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/bin/ferret-worker: $(B)/obj/worker/main.c.o $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $< $(call link,worker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@

define room_rules
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@.$$$$$$$$ && ar rcs $$@.$$$$$$$$ $$^ && mv -f $$@.$$$$$$$$ $$@
.PHONY: lib-$(1)
lib-$(1): $(call archive,$(1))
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

# Outputs appear whole, by rename, so that an interrupted or a second make never leaves half a file behind.
# Instruction-set variants live in files of their own, chosen at run time.
ISA_FLAGS = $(if $(filter %_avx2.c,$<),-mavx2 -mfma -mf16c)$(if $(filter %_avx512.c,$<),-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c)$(if $(filter %_avx512bf16.c,$<),-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mavx512vnni -mfma -mf16c)
$(B)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(ISA_FLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
$(B)/obj/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
# Lua scripts and assets become bytes in the library: _binary_protocol_scripts_submit_lua_start and _end.
$(foreach r,$(ROOMS),$(patsubst %,$(B)/obj/%.o,$(call binaries,$(r)))): $(B)/obj/%.o: %
	@mkdir -p $(@D)
	$(Q)ld -r -b binary -z noexecstack -o $@.$$$$ $< && mv -f $@.$$$$ $@

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

include deploy/deploy.mk
include tests/tests.mk

.PHONY: deps
deps: ## install the Debian or Ubuntu packages that are missing (asks on a terminal; YES=1 does not)
	@tests/lint/deps.sh $(or $(LEVEL),test)

.PHONY: demo
demo: ## annotate the sample corpus with Redis, broker and workers, and draw the result (build/demo/out)
	@$(MAKE) --no-print-directory deps LEVEL=build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BIN=$(abspath $(B)/bin) tests/e2e/demo.sh

# A seed that was asked for; the chaos tests have a default of their own under this name.
EVAL_SEED = $(if $(filter command environment,$(origin SEED)),$(SEED))
.PHONY: eval
eval: ## measure the model that ships on held-out scenes: a table, build/eval/default.json (SEED= SCENES= DTYPE= MODEL=)
	@$(MAKE) --no-print-directory deps LEVEL=eval
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@cd model/reference && /usr/bin/python3 -m evaluation run --ferret $(abspath $(B)/bin/ferret) --out $(abspath build/eval) \
	  $(if $(EVAL_SEED),--seed $(EVAL_SEED)) $(if $(SCENES),--scenes $(SCENES)) $(if $(DTYPE),--dtype $(DTYPE)) $(if $(MODEL),--model $(abspath $(MODEL)))

# They keep their folders, since they link to each other.
DOCUMENTS := README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md LICENSE cli/CLI.md protocol/PROTOCOL.md \
  $(wildcard docs/*.md docs/*.png deploy/*.md) model/reference/evaluation/README.md
.PHONY: install
install: all plugin ## install programs, model, documents, man pages, completion and units under DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/ferretry/pretrained/vision_tower
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	[ -z '$(NVCC)' ] || install -D -m 755 $(CUDA_PLUGIN) $(DESTDIR)$(PREFIX)/lib/ferretry/ferret-cuda.so
	install -m 644 $(wildcard model/pretrained/*.*) $(DESTDIR)$(PREFIX)/share/ferretry/pretrained
	install -m 644 $(wildcard model/pretrained/vision_tower/*) $(DESTDIR)$(PREFIX)/share/ferretry/pretrained/vision_tower
	set -e; for file in $(DOCUMENTS); do install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/doc/ferretry/$$file; done
	@$(MAKE) --no-print-directory install-deploy

.PHONY: format
format: ## rewrite the sources with clang-format
	@. tests/lint/files.sh && sources '*.c' '*.h' '*.cc' '*.cu' '*.cuh' | xargs clang-format -i

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 21
	@echo
	@echo 'variables: V=1  CC=clang  SANITIZER=address,undefined|thread  PREFIX=/usr/local  DESTDIR=  JOBS=$(JOBS)  YES=1  REQUIRE_ALL=1  REQUIRE=simt'
