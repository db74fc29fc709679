# make demo: from a fresh clone to a finished simulation. make test: every test. Both get what they need.

CARGO ?= cargo
PYTHON ?= python3
TOOLS := $(CURDIR)/.tools
# The tests build the C++ library chemfiles with CMake; one that `make setup` fetched comes first.
export PATH := $(TOOLS)/cmake/data/bin:$(PATH)
# A build folder kept outside of the clone is used where there is one, so that a fresh clone need not
# build every dependency again.
SHARED_TARGET := $(HOME)/.cache/mdrun/target
ifeq ($(origin CARGO_TARGET_DIR),undefined)
ifneq ($(wildcard $(SHARED_TARGET)/.),)
export CARGO_TARGET_DIR := $(SHARED_TARGET)
endif
endif
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
MDRUN := $(TARGET)/release/mdrun

.PHONY: demo build toolchain setup test validate test-gpu python gallery dist try-dist lint install install-files clean

demo: build
	$(MDRUN) configs/ethanol_nve.toml --force

build: toolchain
	$(CARGO) build --release --locked

toolchain:
	@sh .ci/setup

setup:
	@sh .ci/setup tests

# With a CUDA compiler library, the tests compile the kernels, with or without a GPU.
WITH_NVRTC := lib=$$(sh .ci/nvrtc); [ -z "$$lib" ] || \
	export MDRUN_REQUIRE_NVRTC=1 LD_LIBRARY_PATH="$$lib$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}";

# With tclsh and PyMOL, what viewers are told is run by them; as root they are installed.
WITH_VIEWERS := eval "$$(sh .ci/viewers)";

test: setup
	$(WITH_NVRTC) $(WITH_VIEWERS) $(CARGO) test --release --locked

# The long checks: minutes to an hour each, of the same tests binary.
validate: setup
	$(WITH_NVRTC) $(WITH_VIEWERS) MDRUN_VALIDATE=1 $(CARGO) test --release --locked -- --nocapture

# On a machine with an NVIDIA GPU: a test that would be skipped elsewhere fails here instead.
test-gpu: setup
	$(WITH_NVRTC) MDRUN_REQUIRE_GPU=1 $(CARGO) test --release --locked -- --test-threads 1

# The Python package: its wheel, which goes into the build folder, and its tests, beside the program.
python: build
	TARGET=$(TARGET) MDRUN=$(MDRUN) sh python/make.sh

# The gallery of the documents: four runs, some minutes, and their pictures into docs/.
gallery: build
	$(PYTHON) docs/gallery.py $(MDRUN)

# A release, into the build folder's dist/: the program with all that it brings, and the wheel, both for glibc 2.28 and later.
dist: toolchain
	TARGET=$(TARGET) CARGO=$(CARGO) sh .ci/dist

# That release in bare Debian systems, as root.
try-dist:
	TARGET=$(TARGET) sh .ci/try-dist

lint: setup
	$(CARGO) fmt --all --check
	# The Python package is looked at without Python, too.
	PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 $(CARGO) clippy --release --locked --package mdrun --package mdrun-python --all-targets -- -D warnings
	# Private items are documented too, so links to them work.
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
		$(CARGO) doc --release --locked --no-deps --document-private-items

# `make install`, PREFIX=~/.local for yourself alone, DESTDIR=... for a package.
PREFIX ?= /usr/local
SHARE := $(DESTDIR)$(PREFIX)/share

install: build install-files

# The same for a program that has been built already.
install-files:
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/doc/mdrun/docs/gallery
	install -s -m 755 $(MDRUN) $(DESTDIR)$(PREFIX)/bin/mdrun
	install -d $(SHARE)/mdrun/models $(SHARE)/mdrun/configs/structures $(SHARE)/doc/mdrun/docs $(SHARE)/man/man1
	install -m 644 models/* $(SHARE)/mdrun/models
	install -m 644 configs/*.toml $(SHARE)/mdrun/configs
	install -m 644 configs/structures/* $(SHARE)/mdrun/configs/structures
	install -m 644 README.md LICENSE-* $(SHARE)/doc/mdrun
	install -m 644 docs/*.md docs/run.svg $(SHARE)/doc/mdrun/docs
	install -m 644 docs/gallery/*.svg $(SHARE)/doc/mdrun/docs/gallery
	$(MDRUN) man --into $(SHARE)/man/man1
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(MDRUN) completions bash > $(SHARE)/bash-completion/completions/mdrun
	$(MDRUN) completions zsh > $(SHARE)/zsh/site-functions/_mdrun
	$(MDRUN) completions fish > $(SHARE)/fish/vendor_completions.d/mdrun.fish

clean:
	$(CARGO) clean
	rm -rf .tools .venv python/.venv
