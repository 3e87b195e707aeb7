# The front door. Every target sets up what it needs in .venv; PYTHON picks the interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m virtualenv -q $(VENV); } || \
		{ echo "This Python cannot make environments: install its venv package (Debian: python3-venv)."; exit 1; }

$(VENV)/run.done: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/test.done: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/run.done

$(VENV)/lint.done: $(VENV)/test.done
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[lint]'
	@touch $@

.PHONY: run
run: $(VENV)/run.done  ## the broker on localhost:9092, data in ./barnabas-data
	@exec $(BIN)/barnabas $(ARGS)

.PHONY: test
test: $(VENV)/test.done  ## unit tests and the short form of everything else
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

.PHONY: kcat
kcat:
	@command -v kcat >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq kcat >/dev/null; } || \
		{ echo "kcat is needed and could not be installed: as root, apt-get install kcat (macOS: brew install kcat)."; exit 1; }

.PHONY: conform
conform: $(VENV)/test.done kcat  ## real clients against a live broker, all of it
	$(BIN)/python -m pytest -m conform tests/conformance $(ARGS)

# Stock clients and tools; AGAINST=kafka runs the same tests against Apache Kafka instead, which is fetched then.
AGAINST ?= barnabas

.PHONY: interop-python
interop-python: $(VENV)/test.done  ## every admin call of the Python clients
	$(BIN)/python -m pytest --against $(AGAINST) tests/interop/python $(ARGS)

.PHONY: interop-go
interop-go: $(VENV)/test.done  ## franz-go and sarama
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed and was not found."; exit 1; }
	$(BIN)/python -m pytest --against $(AGAINST) tests/interop/go $(ARGS)

.PHONY: interop-javascript
interop-javascript: $(VENV)/test.done  ## kafkajs
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed and was not found."; exit 1; }
	$(BIN)/python -m pytest --against $(AGAINST) tests/interop/javascript $(ARGS)

.PHONY: jdk
jdk:
	@command -v javac >/dev/null && command -v mvn >/dev/null || { echo "A JDK (17 or newer) and Maven are needed:" \
		"apt-get install default-jdk-headless maven (macOS: brew install openjdk maven)."; exit 1; }

.PHONY: kafka
kafka: $(VENV)/test.done jdk  ## fetch Apache Kafka itself, to compare with
	@PYTHONPATH=tests $(BIN)/python -c "from support.apache_kafka import install; print(install())"

.PHONY: interop-java
interop-java: kafka  ## Kafka's own tools and the Java clients
	$(BIN)/python -m pytest --against $(AGAINST) tests/interop/java $(ARGS)

.PHONY: interop-files
interop-files: kafka  ## Kafka reads the files of Barnabas and the other way round; what both make of the same batches and requests
	$(BIN)/python -m pytest $(filter-out %/test_docker.py,$(wildcard tests/interop/test_*.py)) $(ARGS)

.PHONY: interop
interop: interop-python interop-go interop-javascript interop-java interop-files  ## all of these

.PHONY: docker-test
docker-test: $(VENV)/test.done  ## the image and the compose file, on a Docker engine (here, or set up as root on Debian)
	docker/test.sh $(BIN)/python $(ARGS)

.PHONY: dist
dist: $(VENV)/test.done  ## wheel and source distribution, in dist/
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null

.PHONY: pythons
pythons: dist  ## the wheel and the README's example on each Python that can be had; wheels of the dependencies elsewhere
	tests/pythons/run.sh dist/*.whl

.PHONY: lint
lint: $(VENV)/lint.done dist  ## ruff: format and rules; what a package index checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python docs/compatibility.py --check
	$(BIN)/twine check --strict dist/*

.PHONY: compatibility
compatibility: $(VENV)/test.done  ## write docs/compatibility.md from what the code declares
	$(BIN)/python docs/compatibility.py

.PHONY: format
format: $(VENV)/lint.done  ## let ruff write
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: types
types: $(VENV)/lint.done  ## mypy, strict, on the package by its name
	@mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/barnabas
	MYPYPATH=$(VENV)/types $(BIN)/mypy -p barnabas.protocol -p barnabas.storage -p barnabas.broker -m barnabas.__main__

.PHONY: bench
bench: $(VENV)/test.done  ## speed and size, each beside a plain server in the same run
	PYTHONPATH=tests $(BIN)/python -m bench.run $(ARGS)

.PHONY: crash
crash: $(VENV)/test.done  ## the slow tests: kill -9 twenty times, 5,000 connections, ...
	$(BIN)/python -m pytest -m "slow and not conform and not interop" --deselect tests/simulation/test_groups.py \
		--deselect tests/simulation/test_transactions.py --deselect tests/simulation/test_power_loss.py \
		--deselect tests/simulation/test_power_loss_compacting.py $(ARGS)

.PHONY: power
power: $(VENV)/test.done  ## power failures at any moment, 5,000 seeds (POWER_SEEDS): what was acknowledged is there
	$(BIN)/python -m pytest -s -m slow tests/simulation/test_power_loss.py tests/simulation/test_power_loss_compacting.py $(ARGS)

.PHONY: groups
groups: kafka  ## 20 consumers of all kinds come, go, die and sleep for ten minutes; then again with five kills of the broker
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed and was not found."; exit 1; }
	$(BIN)/python -m pytest -s -m slow tests/simulation/test_groups.py $(ARGS)

.PHONY: transactions
transactions: kafka  ## chains of transactions of all kinds of clients for five minutes, with ten kills of the broker; then again durable
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed and was not found."; exit 1; }
	$(BIN)/python -m pytest -s -m slow tests/simulation/test_transactions.py $(ARGS)
