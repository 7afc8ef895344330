# Tests. tests/unit/ROOM/*.c are Criterion suites that link that room and what its arrows allow, one binary a room.
UNIT_ROOMS := $(filter $(ROOMS),$(notdir $(patsubst %/,%,$(sort $(wildcard tests/unit/*/)))))

define unit_rules
$(B)/test/unit-$(1): $(patsubst %,$(B)/obj/%.o,$(wildcard tests/unit/$(1)/*.c)) $(call link_deps,$(1))
	@mkdir -p $$(@D)
	$(CC) $(SAN) -o $$@ $$(filter %.o,$$^) $(call link,$(1)) $(LDLIBS_ALL) -lcriterion
.PHONY: unit-$(1)
unit-$(1): $(B)/test/unit-$(1)
	$$< $(CRITERION_FLAGS)
endef
$(foreach r,$(UNIT_ROOMS),$(eval $(call unit_rules,$(r))))

.PHONY: unit
unit: $(patsubst %,unit-%,$(UNIT_ROOMS)) ## run the unit tests of every room
