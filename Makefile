# make test   everything that can be checked on this machine
# make demo   the whole chain on the embedded task: scenes, classifier, 32s, 16s, 8s, scores, figure
# make lint   style;  make protos  the generated module;  make nets  every generated prototxt

PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
SEED ?= 1
READY = $(VENV)/.ready

.PHONY: test demo lint protos nets bench clean

$(READY): requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

test: $(READY)
	$(PY) -m pytest

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

bench: $(READY)
	$(PY) -m benchmarks
