# Chaos: the queue under kill -9, with real programs and a real Redis (AOF always). SECONDS=600 goes on for longer; SEED=N
# repeats a schedule.
CHAOS_SECONDS := $(if $(filter file command environment%,$(origin SECONDS)),$(SECONDS),60)
SEED ?= $(shell date +%s)

$(B)/test/chaos-sleeper: $(B)/obj/tests/chaos/sleeper.c.o $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $< $(call link,worker) $(LDLIBS_ALL)
$(B)/test/chaos: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,chaos children submitter verify) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL)

$(B)/test/chaos-poison: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,poison children submitter) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL)

.PHONY: chaos
chaos: $(B)/test/chaos $(B)/test/chaos-poison $(B)/test/chaos-sleeper $(B)/bin/ferret-broker ## kill everything at random; no acknowledged job may be lost
	@$(B)/test/chaos $(B)/bin $(B)/test/chaos-sleeper $$(($(CHAOS_SECONDS) * 2 / 3)) $(SEED) direct
	@$(B)/test/chaos $(B)/bin $(B)/test/chaos-sleeper $$(($(CHAOS_SECONDS) / 3)) $(SEED) relay
	@$(B)/test/chaos-poison $(B)/bin $(B)/test/chaos-sleeper direct
TEST_PROGRAMS += $(B)/test/chaos $(B)/test/chaos-poison $(B)/test/chaos-sleeper
TEST_STEPS += chaos

$(B)/test/queue-rate: $(patsubst %,$(B)/obj/tests/chaos/%.c.o,rate children submitter) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL)
.PHONY: queue-rate
queue-rate: $(B)/test/queue-rate $(B)/test/chaos-sleeper $(B)/bin/ferret-broker ## jobs a second through the queue, both routes
	@$(B)/test/queue-rate $(B)/bin $(B)/test/chaos-sleeper 100000 direct
	@$(B)/test/queue-rate $(B)/bin $(B)/test/chaos-sleeper 100000 relay
