PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
SEED ?= 1
READY = $(VENV)/.ready
MODELS = $(sort $(wildcard voc-* nyud-* siftflow-* pascalcontext-*))
STAGES = voc-fcn32s voc-fcn16s voc-fcn8s

.DEFAULT_GOAL = help
.PHONY: help test slow lint coverage demo nets protos bench results docs site

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

$(READY): requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

test: $(READY)  ## every check of what the code does; needs neither GPU nor data sets nor weights
	$(PY) -m pytest -n 2 --dist worksteal

slow: $(READY)  ## the checks that take long: the GPU run's rehearsal and the like
	$(PY) -m pytest -n 2 --dist worksteal -m slow

lint: $(READY)  ## style, docstrings and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

coverage: $(READY)  ## the lines of caffe/ and fcn/ that no test runs
	$(PY) -m pytest --cov --cov-report=term

demo: $(READY)  ## the whole chain on the embedded task, from nothing to the figure (SEED=n for another)
	$(PY) -m fcn demo --seed $(SEED)

nets: $(READY)  ## every generated prototxt
	for folder in ilsvrc-nets $(MODELS); do $(PY) $$folder/net.py || exit 1; done
	for folder in ilsvrc-nets $(STAGES); do $(PY) $$folder/net.py --sample || exit 1; done

# protoc 25: code of that age has no check of the runtime's version, so it works with protobuf 5 and later
protos:  ## the module and the types generated from caffe.proto
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet "grpcio-tools==1.62.3" "setuptools<81"
	build/protoc/bin/python -m grpc_tools.protoc -Icaffe/proto --python_out=caffe/proto --pyi_out=caffe/proto \
		caffe/proto/caffe.proto

bench: $(READY)  ## speed and memory, beside the peers
	$(PY) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(PY) -m benchmarks

results: $(READY)  ## results.md, from the records of fcn score
	$(PY) -m fcn results

docs: $(READY)  ## docs/caffe.md, from the code
	$(PY) docs/make_caffe_md.py

site: $(READY)  ## the manual, as pages of HTML in site/
	$(PY) -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	$(PY) -m mkdocs build --strict
