# Whole systems, by hand: they need root, packages that nothing else needs, or minutes. SYSTEMS='systemd slurm' runs these only.
.PHONY: test-systems
test-systems: all man ## units under systemd, Slurm, containers' steps, manifests against their schemas (by hand, as root)
	@BIN=$(abspath $(B)/bin) tests/systems/run.sh $(SYSTEMS)
