# make bench-peers: what others reach on the same layers, turn about with ours. PEERS='ctranslate2 openvino' runs these only,
# TINY=1 shows that it runs. About an hour on 2 cores, 8 GB of memory, 4 GB of disk; models are deleted, build/peers/venv stays.
.PHONY: bench-peers
bench-peers: all $(B)/test/peers/turns ## layers of 7B beside CTranslate2, OpenVINO and llama.cpp from PyPI, in turns
	@tests/peers/install.sh build/peers
	@tests/peers/run.py $(B)/test/peers/turns build/peers build/bench $(if $(TINY),--tiny) $(PEERS)
	@[ -n '$(TINY)' ] || tests/bench/table.py build/bench
