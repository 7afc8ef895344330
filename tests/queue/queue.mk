# make bench-queue: the queue as it ships beside other queues. QUEUE_JOBS, QUEUE_TURNS, QUEUE_DEPTH, QUEUE_MEASURES and
# QUEUE_PEERS change its size. How long a script takes with ten million jobs in the queue (9 GB of memory, minutes):
#   make bench-queue QUEUE_MEASURES=depth QUEUE_DEPTH=10000000
$(B)/test/queue-fleet: $(B)/obj/tests/queue/fleet.c.o $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -Wl,--wrap=store_send,--wrap=store_take -o $@.$$$$ $< $(call link,worker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
$(B)/test/queue-bench: $(patsubst %,$(B)/obj/tests/queue/%.c.o,bench rig scripts measures beanstalkd) $(patsubst %,$(B)/obj/tests/chaos/%.c.o,$(CHAOS_PARTS) gauges) $(call link_deps,protocol)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $(filter %.o,$^) $(call link,protocol) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
TEST_PROGRAMS += $(B)/test/queue-fleet $(B)/test/queue-bench
# RabbitMQ's client, where its headers are (librabbitmq-dev).
QUEUE_RABBIT := $(if $(wildcard /usr/include/amqp.h),$(B)/test/queue-rabbit)
$(B)/test/queue-rabbit: $(B)/obj/tests/queue/rabbit.c.o $(call link_deps,base)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $< $(call link,base) $(LDLIBS_ALL) -lrabbitmq && mv -f $@.$$$$ $@

.PHONY: bench-queue
bench-queue: $(B)/test/queue-fleet $(B)/test/queue-bench $(QUEUE_RABBIT) $(B)/bin/ferret-broker ## jobs a second through the queue, beside beanstalkd, Celery and RabbitMQ where they are installed
	@mkdir -p build/bench
	@$(B)/test/queue-bench $(B)/bin/ferret-broker $(B)/test/queue-fleet build/bench $(QUEUE_RABBIT)
	@tests/bench/table.py build/bench
