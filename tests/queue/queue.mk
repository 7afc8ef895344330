# make bench-queue: the queue as it ships beside other queues. QUEUE_JOBS, QUEUE_TURNS and QUEUE_DEPTH change its size.
$(B)/test/queue-fleet: $(B)/obj/tests/queue/fleet.c.o $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -Wl,--wrap=store_send,--wrap=store_take -o $@.$$$$ $< $(call link,worker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/test/queue-bench: $(patsubst %,$(B)/obj/tests/queue/%.c.o,bench beanstalkd) $(patsubst %,$(B)/obj/tests/chaos/%.c.o,$(CHAOS_PARTS) gauges) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
TEST_PROGRAMS += $(B)/test/queue-fleet $(B)/test/queue-bench

.PHONY: bench-queue
bench-queue: $(B)/test/queue-fleet $(B)/test/queue-bench $(B)/bin/ferret-broker ## jobs a second through the queue, beside beanstalkd and Celery where they are installed
	@mkdir -p build/bench
	@$(B)/test/queue-bench $(B)/bin/ferret-broker $(B)/test/queue-fleet build/bench
	@tests/bench/table.py build/bench
