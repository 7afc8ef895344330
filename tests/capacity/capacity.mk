# make measure-queue: the figures of deploy/CAPACITY.md. MEASURED_JOBS and RECORD (bytes) change its size.
.PHONY: measure-queue
measure-queue: all $(B)/test/queue-fleet ## what a job costs Redis, the network and the disk: a table, build/bench/capacity.json
	@mkdir -p build/bench
	@tests/capacity/measure.py $(abspath $(B)/bin) $(abspath $(B)/test/queue-fleet) --out build/bench/capacity.json $(if $(MEASURED_JOBS),--jobs $(MEASURED_JOBS)) $(if $(RECORD),--record $(RECORD))

# RECAPTIONED (images) and ROUNDS change its size.
.PHONY: measure-recaption
measure-recaption: all ## what a second prompt over the same images saves with --cache and --feature-cache: a table, build/bench/recaption.json
	@mkdir -p build/bench
	@tests/capacity/recaption.py $(abspath $(B)/bin) --out build/bench/recaption.json $(if $(RECAPTIONED),--images $(RECAPTIONED)) $(if $(ROUNDS),--rounds $(ROUNDS))
