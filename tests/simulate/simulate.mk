# make simulate: the broker's dispatcher with a played Redis and played workers. SIMULATE='--images 1000000000 --workers 10000
# --brokers 16 --rate 1' is a billion, in half an hour; deploy/CAPACITY.md has what came out.
SIMULATE ?=
$(B)/test/simulate: $(patsubst %,$(B)/obj/tests/simulate/%.c.o,simulate fleet store) $(call link_deps,broker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(call link,broker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
TEST_PROGRAMS += $(B)/test/simulate

.PHONY: simulate
simulate: $(B)/test/simulate ## the queue's reach: the real dispatcher, a played Redis, played workers (SIMULATE='--images N ...')
	@$< $(SIMULATE)
TEST_STEPS += simulate
UNSANITIZED_STEPS += simulate
