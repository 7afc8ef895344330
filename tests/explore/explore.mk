# The explorer: all interleavings of the scripts' calls, on a Redis in memory and a real Lua 5.1.
$(B)/test/explore: $(patsubst %,$(B)/obj/tests/explore/%.c.o,explore model check memory_redis memory_commands script_host) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) -llua5.1 && mv -f $@.$$$$ $@

.PHONY: explore explore-full
explore: $(B)/test/explore ## every interleaving of script calls with lost answers, within a small bound
	@$(B)/test/explore small
explore-full: $(B)/test/explore ## the same, within a larger one
	@$(B)/test/explore full
TEST_PROGRAMS += $(B)/test/explore
TEST_STEPS += explore
UNSANITIZED_STEPS += explore
FULL_STEPS += explore-full
