# make install | demo | app | openstack | test | check | docs | matrix | bench | torture | screenshots | lock | audit-dependencies | clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.install-stamp
# In CI every package is the very one that .ci/requirements.txt names by hash; people get what fits.
LOCK := .ci/requirements.txt
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
# A program that a test starts need not compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo app openstack lint servers test check matrix bench torture docs screenshots tools lock audit-dependencies clean

install: $(STAMP)

$(STAMP): pyproject.toml Makefile $(LOCK) .ci/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sharekit needs Python 3.11 or newer; set PYTHON=/path/to/it"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifeq ($(CI),true)
	$(PIP) --require-hashes -r .ci/uv.txt
	# uv takes a sixth of pip's time, but does not read pip's settings, as an index of one's own.
	$(BIN)/uv pip install -q --python $(VENV) --require-hashes -r $(LOCK) || $(PIP) --require-hashes -r $(LOCK)
	$(PIP) --no-deps --no-build-isolation -e .
else
	$(PIP) "pip>=25.1"
	$(PIP) -e . --group dev
endif
	@touch $@

demo: install
	@rm -rf demo-run
	@$(BIN)/sharekit demo demo-run

# A real Keystone and Glance on loopback, until Ctrl-C; installed once into .openstack.
openstack: install
	@$(BIN)/python -m tests.realcloud openstack-run
# The review in the browser, on a cloud to play with; the same as `sharekit app DIR` on your own.
app: install
	@$(BIN)/sharekit app app-run --rehearse

screenshots: install tools
	$(BIN)/python -m docs.screenshots

# LibreOffice writes the workbooks that no Python library writes; without it those tests are skipped.
tools:
	@.ci/tools

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The servers of `make openstack`; where they cannot be installed, their tests say why.
servers: install tools
	-@$(BIN)/python -c 'from tests.realcloud.install import install; install()'

# More than a quarter of the tests' time is waiting, so four share two cores. Neighbouring tests have
# fixtures in common, so each process begins with a stretch of its own.
PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal

test: install
	@$(MAKE) --no-print-directory --jobs=2 lint servers
	$(PYTEST)

check: lint
	$(PYTEST) -m "not slow"

# The fast tests with the oldest dependencies, and with the newest on each Python that is here.
matrix: install
	$(PIP) --group audit
	.ci/matrix

bench: install
	$(BIN)/python -m benchmarks

# Kills, cuts off and starves submissions, and counts what is lost (docs/explanation/torture.md); then fuzzes.
torture: install
	$(BIN)/python -m tests.runs.torture_run --runs 1000 --table torture-table.md
	$(PIP) --group fuzz
	$(BIN)/python -m tests.fuzz --seconds 200

# Names every package that CI may install, for all systems, with the hashes of its files.
lock: install
	$(PIP) --group audit
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --upgrade --group dev --extra app --extra aksk --extra fleet pyproject.toml -o $(LOCK)
	echo uv | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --upgrade - -o .ci/uv.txt

# Asks a public service for known faults of what CI installs, so it needs the network.
audit-dependencies: install
	$(PIP) --group audit
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r $(LOCK)

# Writes the pages that are made from the code, and the site: build/site/index.html.
docs: install
	$(BIN)/python -m docs.reference
	$(BIN)/python -m sphinx -q -W --keep-going -j auto docs build/site

clean:
	rm -rf $(VENV) .matrix demo-run app-run openstack-run .openstack dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
