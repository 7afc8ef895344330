# Chaos: the queue with everything failing around it: real programs, a real Redis (AOF always), two brokers, a proxy that
# spoils connections. First each failpoint (CHAOS_STEP=N: every Nth), then kills, pauses and outages at random.
# SECONDS=600 goes on for longer; SEED=N repeats a schedule.
CHAOS_SECONDS := $(if $(filter file command environment%,$(origin SECONDS)),$(SECONDS),60)
CHAOS_STEP ?= 1
SEED ?= $(shell date +%s)
FAILPOINT_WRAPS := $(patsubst %,-Wl$(comma)--wrap=%,link_send store_send store_pump store_take)
FAILPOINTS := $(patsubst %,$(B)/obj/tests/chaos/%.c.o,failpoints gauges)

# The broker as it ships, but for the failpoints.
$(B)/test/chaos-broker: $(B)/obj/broker/main.c.o $(FAILPOINTS) $(call link_deps,broker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(FAILPOINT_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call link,broker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/test/chaos-sleeper: $(B)/obj/tests/chaos/sleeper.c.o $(FAILPOINTS) $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(FAILPOINT_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call link,worker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@

CHAOS_PARTS := children proxy submitter operator
$(B)/test/chaos: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,chaos schedule walk verify $(CHAOS_PARTS)) $(FAILPOINTS) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(FAILPOINT_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/test/chaos-poison: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,poison $(CHAOS_PARTS)) $(FAILPOINTS) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(FAILPOINT_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/test/chaos-pressure: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,pressure verify $(CHAOS_PARTS)) $(FAILPOINTS) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(FAILPOINT_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
CHAOS_PROGRAMS := $(B)/test/chaos $(B)/test/chaos-pressure $(B)/test/chaos-poison $(B)/test/chaos-sleeper $(B)/test/chaos-broker

.PHONY: chaos
chaos: export CHAOS_FERRET := $(B)/bin/ferret
chaos: $(CHAOS_PROGRAMS) $(B)/bin/ferret-broker $(B)/bin/ferret ## fail everything, in turn and at random; no acknowledged job may be lost
	@$(B)/test/chaos $(B)/test/chaos-broker $(B)/test/chaos-sleeper walk $(CHAOS_STEP) $(SEED)
	@$(B)/test/chaos $(B)/bin/ferret-broker $(B)/test/chaos-sleeper random $(CHAOS_SECONDS) $(SEED)
	@$(B)/test/chaos-poison $(B)/bin/ferret-broker $(B)/test/chaos-sleeper direct

.PHONY: pressure
pressure: $(CHAOS_PROGRAMS) $(B)/bin/ferret-broker ## slow workers, slow Redis, a full disk, full memory: nothing grows, nothing is lost
	@$(B)/test/chaos-pressure $(B)/bin/ferret-broker $(B)/test/chaos-sleeper
# A part of chaos, for make test.
.PHONY: chaos-short
chaos-short:
	@$(MAKE) --no-print-directory chaos CHAOS_STEP=24 SECONDS=40
TEST_PROGRAMS += $(CHAOS_PROGRAMS)
TEST_STEPS += pressure chaos-short
UNSANITIZED_STEPS += pressure chaos-short
