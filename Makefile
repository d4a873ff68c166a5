# `make demo` or `make test` is enough on a fresh clone: each sets up what it needs first.
PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup broker demo test fast lint types check check-deploy bench schemas release-schemas deploy lock

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: ## The virtual environment, .venv
	@./deploy/setup

broker: # The same, and there has to be a way to a Kafka: better said now than after the installation
	@./deploy/setup --kafka

demo: broker ## The whole product in about a minute; ARGS=--keep leaves the console open
	@$(PYTHON) -m streams.cli demo $(ARGS)

test: broker ## Every test, on a real Kafka that they start themselves
	@$(PYTHON) -m pytest -n 3 --dist loadfile -rs

fast: setup ## Every test that needs no Kafka
	@$(PYTHON) -m pytest -m "not kafka"

lint: setup ## Formatting and rules
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .

types: setup ## Types
	@$(PYTHON) -m mypy

check: lint types test ## What a change has to pass

bench: broker ## Every benchmark, one table each; fails at the end if one missed its target
	@missed=0; for file in benchmarks/[a-z]*.py; do \
	  $(PYTHON) -m "benchmarks.$$(basename "$$file" .py)" || missed=1; \
	done; exit $$missed

schemas: setup ## Write schemas/ from the code
	@$(PYTHON) -m streams.schemas

deploy: setup ## Write deploy/prometheus and deploy/grafana from the code
	@$(PYTHON) -m streams.metrics

check-deploy: setup ## Rules, dashboards, compose file, manifests, schemas, links; says what it could not check
	@$(PYTHON) -m pytest -q -rs -m "not kafka" tests/deploy tests/test_documentation.py tests/test_schemas.py tests/test_asyncapi.py
	@deploy/compose --profile demo config --quiet || test $$? = 3
	@deploy/check-asyncapi || test $$? = 3

release-schemas: setup ## Promise the schemas of this release: the next ones are compared with them
	@$(PYTHON) -m streams.schemas --release

lock: setup ## Pin the dependencies anew, after pyproject.toml has changed (needs uv)
	@./deploy/lock
