# `make help` says in a sentence what each target does.
# Settings: PYTHON (3.11 or newer), PORT (8000), AFORO_HOME (.aforo), ROWS of the demo, NAME of a benchmark, TIMES of each fault, ARGS for pytest.

SHELL = /bin/sh
.DEFAULT_GOAL = help
# Another environment's packages must not shadow ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PY = .venv/bin/python
RUNTIME = $(PY) -m aforo.runtime
# Checks read settings and so need servers; in a folder of their own they disturb no `make run`.
CHECK_HOME = .aforo-check
LOCK = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

help:  ## Say what each target does.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: install  ## Start everything, print the address, the keys and a first call; Ctrl-C ends it.
	@exec $(RUNTIME) run

demo: install  ## Replay 19,366 real LLM requests (ROWS=n for fewer), bill the month, print the invoice.
	@exec $(RUNTIME) with-app -- manage.py demo $(if $(ROWS),--rows $(ROWS))

test: install-dev browser  ## Run every test that a fresh clone can; lists in docs/promises.md what they prove.
	$(PY) -m pytest -q -n 2 $(or $(ARGS),--promises docs/promises.md)

unit: install-dev  ## Run the tests that take about a minute together.
	$(PY) -m pytest -q -n 2 -m "not slow" $(ARGS)

faults: install-dev  ## Kill, stop, fill up and cut the power, five times as often as the tests do (TIMES=n); needs root.
	FAULT_TIMES=$(or $(TIMES),5) $(PY) -m pytest -q -n 2 --timeout 1800 tests/faults $(ARGS)

check: install-dev  ## Look for faults without running: style, types, import arrows, documents, migrations, API.
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m docs.generate --check
	$(PY) -m gateways.conformance.generate --check
	AFORO_HOME=$(CHECK_HOME) $(RUNTIME) services -- manage.py makemigrations --check --dry-run
	AFORO_HOME=$(CHECK_HOME) $(RUNTIME) services -- manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: install-dev  ## Measure on this machine (NAME=… for one benchmark); writes benchmarks/results.json.
	$(PY) -m benchmarks $(NAME)

docs: install-dev  ## Write the tables of docs/ and the vectors for clients anew from the code they describe.
	$(PY) -m docs.generate
	$(PY) -m gateways.conformance.generate

stop: install  ## End what `make run` started in this folder.
	@$(RUNTIME) stop

doctor: install  ## Say what could be wrong with this machine or this installation.
	@$(RUNTIME) doctor

lock: install-dev  ## Write requirements.lock and requirements-dev.lock from the .txt beside them.
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --output-file requirements-dev.lock

clean: install  ## End what runs here, then remove its data (.aforo): events, invoices, keys.
	@$(RUNTIME) stop
	rm -rf "$${AFORO_HOME:-.aforo}" $(CHECK_HOME)

install:  # Into .venv, only when requirements.lock has changed.
	@$(call installation)

install-dev:
	@$(call installation,--dev)

define installation
for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		&& exec $$python -I aforo/runtime/installation.py $(1); \
done; \
echo "Aforo needs Python 3.11 or newer; $(or $(PYTHON),python3) is none. Name one: make PYTHON=/path/to/python3 ..." >&2; \
exit 1
endef

# Browser tests drive Debian's Chromium; a package manager's word is needed to install it.
browser:
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "Browser tests need Chromium: apt install chromium" >&2; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

.PHONY: help run demo test unit faults check bench docs stop doctor lock clean install install-dev browser
