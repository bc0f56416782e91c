# The README's commands. Each says what it does; what is missing is installed by tools/setup.
CARGO ?= cargo
PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
FEATURES := --features procblock/series,procblock/charts
# The interactive charts of pages, which the feature `charts` embeds.
CHARTS := web/dist/dropstar-charts.js
RUN_FOLDER ?= run

.PHONY: help build run test interleavings web soak bench fuzz install generate clean

help:
	@echo "make run       build, then run the machine monitor demo until Ctrl-C"
	@echo "make test      format, lints and every test"
	@echo "make interleavings  the cores of locks and queues in many orders of threads"
	@echo "make install   put procblock and procblock-series into $(PREFIX)/bin"
	@echo "make web       bundle the charts of pages (build and test do it too)"
	@echo "make soak      the long rounds of the tests"
	@echo "make bench     figures beside other tools, as ratios"
	@echo "make fuzz      the fuzz targets, one minute each"
	@echo "make generate  docs/reference and schemas from the declarations"

build: web
	@tools/setup build
	$(CARGO) build --release -p procblock $(FEATURES)

run: build
	@mkdir -p $(RUN_FOLDER)
	@echo "graphs: $(abspath $(RUN_FOLDER))/*.png, redrawn every 5 seconds; Ctrl-C stops"
	$(TARGET)/release/procblock --cwd $(RUN_FOLDER) -o none demos/machine_monitor/machine_monitor.yaml

test: web
	@tools/setup test
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- -D warnings
	$(CARGO) build --workspace $(FEATURES)
	$(CARGO) test --workspace $(FEATURES)
	$(MAKE) interleavings

interleavings:
	RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=$(TARGET)/shuttle $(CARGO) test -p unidist --test interleavings

web: $(CHARTS)

$(CHARTS): web/charts.js web/package.json web/package-lock.json
	@tools/setup build
	cd web && npm ci --no-audit --no-fund --silent && npm run --silent build

soak: web
	@tools/setup test
	$(CARGO) build --workspace $(FEATURES)
	ROUNDS=1000 tools/soak

bench: web
	@tools/setup bench
	$(CARGO) build --release --workspace $(FEATURES)
	tools/bench

fuzz:
	@command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz
	cd fuzz && for target in $$(cargo fuzz list); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=60 || exit 1; \
	done

install: build
	install -d $(PREFIX)/bin
	install -m 755 $(TARGET)/release/procblock $(TARGET)/release/procblock-series $(PREFIX)/bin/

generate: web
	@tools/setup build
	UPDATE_EXPECTED=1 $(CARGO) test --workspace $(FEATURES) --test reference

clean:
	$(CARGO) clean
