# make install | demo | app | openstack | test | check | bench | torture | screenshots | clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.install-stamp

.PHONY: install demo app openstack test check bench torture docs screenshots tools clean

install: $(STAMP)

$(STAMP): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sharekit needs Python 3.11 or newer; set PYTHON=/path/to/it"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install -q --disable-pip-version-check -e . --group dev
	@touch $@

demo: install
	@rm -rf demo-run
	@$(BIN)/sharekit demo demo-run

# A real Keystone and Glance on loopback, until Ctrl-C; installed once into .openstack.
openstack: install
	@$(BIN)/python -m tests.realcloud openstack-run
# The second notebook as an application without code, on a cloud to play with.
app: install
	@mkdir -p app-run && cp notebooks/02-bulk-accept-from-excel.ipynb app-run/
	JUPYTER_PATH=$(CURDIR)/notebooks/app $(BIN)/voila --template=sharekit \
	  --VoilaConfiguration.file_allowlist="['.*\.(xlsx|html|csv|json)']" app-run/02-bulk-accept-from-excel.ipynb

screenshots: install tools
	$(BIN)/python -m docs.screenshots

# LibreOffice writes the workbooks that no Python library writes; without it those tests are skipped.
tools:
	@.ci/tools

test: install tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not slow"

bench: install
	$(BIN)/python -m benchmarks

# Kills, cuts off and starves submissions, and counts what is lost; docs/torture.md has the result.
torture: install
	$(BIN)/python -m tests.torture_run --runs 1000

docs: install
	$(BIN)/python -m docs.reference

clean:
	rm -rf $(VENV) demo-run app-run openstack-run .openstack dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
