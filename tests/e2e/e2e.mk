# ferret-worker with a device that is lost under way.
LOST_DEVICE := $(B)/test/worker-losing-its-device
$(LOST_DEVICE): $(B)/obj/worker/main.c.o $(B)/obj/tests/e2e/lost_device.c.o $(call link_deps,worker)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -Wl,--wrap=backend_step_end -o $@.$$$$ $(filter %.o,$^) $(call link,worker) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
TEST_PROGRAMS += $(LOST_DEVICE)
e2e: $(LOST_DEVICE) $(B)/test/parity/sparse_checkpoint

# A thousand hostile files; `make e2e` has a hundred.
.PHONY: hostile-thousand
hostile-thousand: all ## a thousand hostile files, each with its record (SEED=)
	@BIN=$(abspath $(B)/bin) COUNT=1000 $(if $(SEED),SEED=$(SEED)) tests/e2e/run.sh hostile_many
FULL_STEPS += hostile-thousand

# Long ones, which `make test` leaves to `make test-full`.
E2E_LONG := bucket.sh tuning.sh look.py
.PHONY: e2e-long
e2e-long: all ## the long ones of the end-to-end tests
	@BIN=$(abspath $(B)/bin) tests/e2e/run.sh $(E2E_LONG)
FULL_STEPS += e2e-long

# Peers of a broker that mean ill.
TEST_PROGRAMS += $(B)/test/e2e/intruder
e2e: $(B)/test/e2e/intruder
