# ---- checkpoints of the published sizes, without their weights: opened and checked in a stated memory ----
SHAPES_MIB ?= 128
REAL_SHAPES = MIB=$(if $(SANITIZER),2048,$(SHAPES_MIB)) BIN=$(B)/bin PROGRAMS=$(B)/test/parity tests/parity/real_shapes.sh
TEST_STEPS += real-shapes
TEST_PROGRAMS += $(B)/test/parity/sparse_checkpoint $(B)/test/parity/real_shapes
.PHONY: real-shapes
real-shapes: $(B)/test/parity/sparse_checkpoint $(B)/test/parity/real_shapes $(B)/bin/ferret ## the shapes of 7B (PyTorch shards) and 13B (safetensors) opened and inspected in 128 MiB
	@$(REAL_SHAPES)

FULL_STEPS += real-shapes-convert
.PHONY: real-shapes-convert
real-shapes-convert: $(B)/test/parity/sparse_checkpoint $(B)/test/parity/real_shapes ## a 7B delta over its base converted, in the same memory (needs 30 GB of disk)
	@$(REAL_SHAPES) convert

.PHONY: real-shapes-convert-13b real-shapes-load
real-shapes-convert-13b: $(B)/test/parity/sparse_checkpoint $(B)/test/parity/real_shapes ## a 13B delta converted to int8 in the same memory (needs 14 GB of disk and minutes; part of nothing)
	@$(REAL_SHAPES) convert-13b
real-shapes-load: $(B)/test/parity/sparse_checkpoint $(B)/test/parity/real_shapes $(B)/bin/ferret ## 7B of zeros loaded in int8 and asked about an image, in 10 GiB (takes minutes; part of nothing)
	@$(REAL_SHAPES) load
