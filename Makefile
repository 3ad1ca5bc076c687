# make test     everything that can be checked on this machine
# make demo     the whole chain on the embedded task, from nothing to the figure (SEED=n for another)
# make lint     style
# make nets     every generated prototxt;  make protos  the generated protobuf module
# make results  results.md, from the records of fcn score;  make docs  docs/caffe.md
# make bench    speed and memory, beside the peers

PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
SEED ?= 1
READY = $(VENV)/.ready
MODELS = $(sort $(wildcard voc-* nyud-* siftflow-* pascalcontext-*))
STAGES = voc-fcn32s voc-fcn16s voc-fcn8s

.PHONY: test demo lint nets protos bench results docs

$(READY): requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

test: $(READY)
	$(PY) -m pytest

demo: $(READY)
	$(PY) -m fcn demo --seed $(SEED)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

nets: $(READY)
	for folder in ilsvrc-nets $(MODELS); do $(PY) $$folder/net.py || exit 1; done
	for folder in ilsvrc-nets $(STAGES); do $(PY) $$folder/net.py --sample || exit 1; done

# protoc 25: code of that age has no check of the runtime's version, so it works with protobuf 5 and later
protos:
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet "grpcio-tools==1.62.3" "setuptools<81"
	build/protoc/bin/python -m grpc_tools.protoc -Icaffe/proto --python_out=caffe/proto caffe/proto/caffe.proto

bench: $(READY)
	$(PY) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(PY) -m benchmarks

results: $(READY)
	$(PY) -m fcn results

docs: $(READY)
	$(PY) docs/make_caffe_md.py
