# Fincart Event Gateway. GNU make 3.81 and a POSIX sh are enough; Python 3.11 to 3.14 is looked
# for on the PATH, PYTHON=/path/to/python3 overrides.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help venv up down reload status ctl redis-cli demo test fuzz test-docker chaos load bench \
	bench-recovery soak lock

VENV := .venv
RUN := $(VENV)/bin/python
export PYTHON

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

up: venv ## start the whole stack in the background, on the default ports
	@$(RUN) -m gateway.stack up

down: venv ## stop it, finishing or handing back what is being worked on
	@$(RUN) -m gateway.stack down

reload: venv ## after a change of sources.toml: every process serves by it, and no request fails
	@$(RUN) -m gateway.stack reload

status: venv ## what supervisorctl status prints
	@$(RUN) -m gateway.stack status

ctl: venv ## pass anything to supervisorctl: make ctl ARGS="restart worker-routing:*"
	@$(RUN) -m gateway.stack ctl $(ARGS)

redis-cli: venv ## pass anything to redis-cli: make redis-cli ARGS="zrange {gw:0}:retry 0 9"
	@$(RUN) -m gateway.stack redis-cli $(ARGS)

demo: venv ## 100 concurrent events against a failing routing service, and a report
	@$(RUN) -m loadtest.demo

test: venv ## ruff, mypy and all tests
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(RUN) -m pytest -n 2 --dist worksteal $(ARGS)

test-docker: venv ## the image and the Compose files, on a Docker engine (COMPOSE="docker-compose")
	@$(RUN) -m pytest -o python_files='check_*.py' tests/docker -s $(ARGS)

chaos: venv ## kill everything under load, then prove that nothing is lost (DURATION=180 SEED=)
	@$(RUN) -m loadtest.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))

fuzz: venv ## odd requests to a real edge: make fuzz REQUESTS=200000 SEED=1 KIND=gthread
	@$(RUN) -m tests.fuzz

load: venv ## the proof of load: locust, 100 users; its evidence goes to loadtest/evidence
	@$(RUN) -m loadtest.load

bench: venv ## the benchmarks, with their targets beside the figures
	@$(RUN) -m loadtest.bench

bench-recovery: venv ## how soon all is in work again after a worker, a store or the scheduler died
	@$(RUN) -m loadtest.bench recovery

soak: venv ## EVENTS=300000 as fast as they are done: does anything grow? (10 to 20 minutes)
	@EVENTS=$(EVENTS) $(RUN) -m loadtest.soak

# An environment is made anew when its Python is gone or too old, or is not the PYTHON asked for.
SERIES = -c 'import sys; print(sys.version[:4]); sys.exit(sys.version_info < (3, 11))'

venv:
	@has=$$($(RUN) $(SERIES) 2>/dev/null) && \
	{ [ -z "$$PYTHON" ] || [ "$$has" = "$$("$$PYTHON" $(SERIES) 2>/dev/null)" ]; } || { \
	  python=$$(sh conf/find_python.sh) && rm -rf $(VENV) && \
	  echo "making $(VENV) with $$python" && "$$python" -m venv $(VENV); }
	@$(RUN) conf/install.py

# All versions and hashes anew, for every supported Python and platform at once.
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' "$$uv" pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --overrides conf/lock-overrides.txt

lock: ## write requirements*.txt anew from requirements*.in (needs uv)
	@uv=$$(PATH="$(VENV)/bin:$$PATH" command -v uv) || { \
	  echo "make lock needs uv: pip install uv" >&2; exit 1; }; \
	$(COMPILE) requirements.in --no-emit-package greenlet --output-file requirements.txt && \
	$(COMPILE) conf/requirements-dev.in --output-file requirements-dev.txt && \
	echo "requirements.txt and requirements-dev.txt are up to date"
