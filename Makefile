# Fincart Event Gateway. Needs GNU make 3.81, a POSIX sh and Python 3.11 to 3.14, which is looked for
# on the PATH; make PYTHON=/path/to/python3 names another.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo up down status reload ctl redis-cli test lint format coverage fuzz test-docker \
	chaos load bench bench-recovery soak venv lock

VENV := .venv
RUN := $(VENV)/bin/python
export PYTHON

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: venv ## send 100 concurrent events through a failing routing service, and print a report
	@$(RUN) -m loadtest.demo

up: venv ## start the whole stack in the background, on the default ports
	@$(RUN) -m gateway.stack up

down: venv ## stop it; workers finish their events or return them to the queue
	@$(RUN) -m gateway.stack down

status: venv ## run supervisorctl status
	@$(RUN) -m gateway.stack status

reload: venv ## apply a changed sources.toml to every process without failing a request
	@$(RUN) -m gateway.stack reload

ctl: venv ## run supervisorctl: make ctl ARGS="restart worker-routing:*"
	@$(RUN) -m gateway.stack ctl $(ARGS)

redis-cli: venv ## run redis-cli: make redis-cli ARGS="zrange {gw:0}:retry 0 9"
	@$(RUN) -m gateway.stack redis-cli $(ARGS)

test: lint ## lint, then all tests in random order; ARGS="--randomly-seed=123" repeats one
	@$(RUN) -m pytest -n 2 --dist worksteal $(ARGS)

lint: venv ## check style, formatting and types with ruff and mypy
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: venv ## format the code with ruff, and fix what ruff can fix
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

coverage: venv ## branch coverage of all tests; the report also goes to htmlcov
	@$(RUN) -m pytest -n 2 --dist worksteal --cov --cov-report=term --cov-report=html $(ARGS)

fuzz: venv ## malformed and unusual requests to a real edge: REQUESTS=200000 SEED=1 KIND=gthread
	@$(RUN) -m tests.fuzz

test-docker: venv ## test the image and the Compose files on a Docker engine (COMPOSE=docker-compose)
	@$(RUN) -m pytest -o python_files='check_*.py' tests/docker -s $(ARGS)

chaos: venv ## kill every process under load, then prove that no event is lost: DURATION=180 SEED=1
	@$(RUN) -m loadtest.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))

load: venv ## the proof of load: locust with 100 users; the evidence goes to loadtest/evidence
	@$(RUN) -m loadtest.load

bench: venv ## run the benchmarks and compare them with their targets
	@$(RUN) -m loadtest.bench

bench-recovery: venv ## measure the recovery after a worker, a store or the scheduler was killed
	@$(RUN) -m loadtest.bench recovery

soak: venv ## process EVENTS=300000 at full speed and check that nothing grows (10 to 20 minutes)
	@EVENTS=$(EVENTS) $(RUN) -m loadtest.soak

# The environment is made again if its Python is missing, too old, or not the PYTHON asked for.
SERIES = -c 'import sys; print(sys.version[:4]); sys.exit(sys.version_info < (3, 11))'

venv: ## make .venv and install the locked packages; every target does this first
	@has=$$($(RUN) $(SERIES) 2>/dev/null) && \
	{ [ -z "$$PYTHON" ] || [ "$$has" = "$$("$$PYTHON" $(SERIES) 2>/dev/null)" ]; } || { \
	  python=$$(sh conf/find_python.sh) && rm -rf $(VENV) && \
	  echo "making $(VENV) with $$python" && "$$python" -m venv $(VENV); }
	@$(RUN) conf/install.py

# Resolves versions and hashes again, for every supported Python and platform.
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' "$$uv" pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --overrides conf/lock-overrides.txt

lock: ## update requirements*.txt from requirements*.in (needs uv)
	@uv=$$(PATH="$(VENV)/bin:$$PATH" command -v uv) || { \
	  echo "make lock needs uv: pip install uv" >&2; exit 1; }; \
	$(COMPILE) requirements.in --no-emit-package greenlet --output-file requirements.txt && \
	$(COMPILE) conf/requirements-dev.in --output-file requirements-dev.txt && \
	echo "requirements.txt and requirements-dev.txt are up to date"
