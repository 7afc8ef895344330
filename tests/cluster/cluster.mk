# A Redis Cluster of six nodes on this machine: failover and a slot that moves, under load.
.PHONY: cluster
cluster: all $(B)/test/chaos-sleeper ## a real Redis Cluster: a master killed, a slot moved under load; nothing that stays is wrong
	@BIN=$(abspath $(B)/bin) tests/cluster/cluster.sh && echo "PASS cluster" || { echo "FAIL cluster"; exit 1; }
FULL_STEPS += cluster
