# Packages of model/reference with unittest suites beside their files: `make python-data`.
PYTHON_PACKAGES := data evaluation tuning
PYTHON_STEPS := $(addprefix python-,$(PYTHON_PACKAGES))
TEST_STEPS += $(PYTHON_STEPS)
UNSANITIZED_STEPS += $(PYTHON_STEPS)

.PHONY: $(PYTHON_STEPS)
$(PYTHON_STEPS): python-%:
	@tests/python/run.py $*
