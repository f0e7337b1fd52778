# gfl: `make demo` and `make check` do all of their set-up themselves.
#
#   make               every program, into build/bin
#   make DEV=1         warnings are errors
#   make SAN=address,undefined   the same, instrumented, in build/address,undefined
#   make DNNL=0        without oneDNN: plain loops train, in build/nodnnl
#   make CC=clang-14   another compiler
#   make V=1           shows the commands
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Tools sort, and read and print numbers, alike everywhere.
export LC_ALL := C

comma := ,
VERSION := 0.1.0
PREFIX ?= /usr/local
CC = gcc
DNNL ?= 1
Q := $(if $(V),,@)
BUILD := build$(if $(SAN),/$(SAN))$(if $(filter 0,$(DNNL)),/nodnnl)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(DEV),-Werror)
# Instrumented code, of which reports want lines alone, compiles in half the
# time so, and runs as fast. What gcc leaves out of "undefined" clang has in it.
OPTIM := $(if $(COVERAGE),-O0 -g --coverage,$(if $(SAN),-O1 -g1 -fsanitize=$(SAN) \
	$(if $(findstring undefined,$(SAN)),-fsanitize=float-cast-overflow) \
	-fno-sanitize-recover=all -fno-omit-frame-pointer,-O2 -g))
CPPFLAGS += -Ilib -I$(BUILD)/gen -D_GNU_SOURCE -DGFL_VERSION='"$(VERSION)"' \
	$(if $(filter 0,$(DNNL)),-DGFL_NO_DNNL)
CFLAGS += -std=gnu17 $(OPTIM) $(WARN) -MMD -MP
LDFLAGS += $(OPTIM) -Wl,--as-needed
LDLIBS := -luv -ledit -lcurl -lnghttp2 -ljansson -lsqlite3 -lprotobuf-c -linih -lsmartcols -lisal -lssl -lcrypto \
	$(if $(filter 0,$(DNNL)),,-ldnnl -lgomp) -lzip -lcsv -lz -lzstd -lm -lpthread

PROTO := $(wildcard proto/*.proto)
GEN := $(PROTO:proto/%.proto=$(BUILD)/gen/proto/%.pb-c.c)
LIB := $(filter-out $(if $(filter 0,$(DNNL)),lib/nn/engine_dnnl.c lib/nn/op.c lib/nn/op_%.c),$(wildcard lib/*/*.c))
OBJ := $(LIB:%.c=$(BUILD)/%.o) $(GEN:.c=.o)
CMD := $(patsubst cmd/%.c,$(BUILD)/bin/%,$(wildcard cmd/*.c))
SH := $(patsubst cmd/%.sh,$(BUILD)/bin/%,$(wildcard cmd/*.sh))
PARTS := $(patsubst share/%,$(BUILD)/share/gfl/%,$(wildcard share/scenario/*.sh))
# Where man(1) looks for the pages of what is in BUILD/bin.
MAN := $(foreach n,1 7,$(patsubst share/man/%,$(BUILD)/share/man/man$n/%,$(wildcard share/man/*.$n)))
UNIT := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/unit/*_test.c))
SIM := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/sim/*_sim.c))
INTEROP := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/interop/*.c))
FUZZ := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/fuzz/*.c))
BENCHES := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/bench/*.c))
# The run with real processes, and the disk that is preloaded into them.
CHAOS := $(BUILD)/test/chaos/chaos
POWER := $(BUILD)/test/chaos/power.so
CHAOS_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/power.c,$(wildcard test/chaos/*.c)))
TEST := $(filter-out %_test.c %_sim.c,$(wildcard test/unit/*.c test/sim/*.c))

all: $(CMD) $(SH) $(PARTS) $(MAN)

# What a build and the demo need, and what the tests need besides, all from
# Debian 12. The sanitizers come with gcc; bats ends a test by procps' ps.
PACKAGES := gcc libc6-dev libuv1-dev libcurl4-openssl-dev libnghttp2-dev \
	libjansson-dev \
	libsqlite3-dev protobuf-c-compiler libprotobuf-c-dev libssl-dev \
	libisal-dev libinih-dev libedit-dev libsmartcols-dev libdnnl-dev uthash-dev \
	libzip-dev libcsv-dev zlib1g-dev libzstd-dev dataset-fashion-mnist
# Whoever has npm from elsewhere keeps it: Debian's would be in its way.
NODE := $(if $(shell command -v npm 2>&1),,nodejs npm)
PACKAGES_CHECK := $(PACKAGES) bats procps iproute2 nftables util-linux curl \
	jq sqlite3 protobuf-compiler python3-protobuf openmpi-bin clang-14 libclang-rt-14-dev \
	python3-grpcio python3-numpy python3-torch python3-sklearn systemd \
	openssl g++ liblemon-dev zsh fish $(NODE)
# The peers of the benches, and what drives them.
PACKAGES_BENCH := $(PACKAGES) curl iproute2 procps util-linux nghttp2-client \
	g++ pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc \
	nginx-light openssl sqlite3 etcd-server mosquitto mosquitto-clients \
	python3-grpcio python3-torch python3-numpy libopenblas0-pthread \
	strace parallel redis-server

deps:
	@share/deps.sh $(PACKAGES)
deps-bench:
	@share/deps.sh $(PACKAGES_BENCH)
deps-check:
	@share/deps.sh $(PACKAGES_CHECK)

$(BUILD)/gen/proto/%.pb-c.c: proto/%.proto $(PROTO)
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(BUILD)/gen proto/$*.proto
$(BUILD)/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	$(Q)$(CC) $(CPPFLAGS) $(filter-out $(WARN),$(CFLAGS)) -c -o $@ $<
# Every object may include a generated header, so those come first.
$(OBJ): | $(GEN)
# Which programs there are, a section of gfl.conf may be of.
$(BUILD)/lib/base/parse.o: CPPFLAGS += -DGFL_PROGRAMS='$(patsubst %,"%"$(comma),$(filter-out gfl,$(notdir $(CMD) $(SH))))'
$(BUILD)/lib/base/parse.o: cmd
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit $(CFLAGS) -c -o $@ $<
$(BUILD)/libgfl.a: $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(CMD): $(BUILD)/bin/%: $(BUILD)/cmd/%.o $(BUILD)/libgfl.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(SH): $(BUILD)/bin/%: cmd/%.sh
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@
$(PARTS): $(BUILD)/share/gfl/%: share/%
	@mkdir -p $(@D)
	$(Q)install -m 644 $< $@
$(MAN):
	@mkdir -p $(@D)
	$(Q)ln -sfn $(CURDIR)/share/man/$(@F) $@
# What tests share, and a schema for the codecs' tests alone.
TEST_GEN := $(BUILD)/gen/test/unit/all.pb-c.c $(BUILD)/gen/test/interop/echo.pb-c.c
$(TEST_GEN): $(BUILD)/gen/%.pb-c.c: %.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(BUILD)/gen $<
$(BUILD)/libtest.a: $(TEST:%.c=$(BUILD)/%.o) $(TEST_GEN:.c=.o)
	@rm -f $@
	$(Q)ar rcs $@ $^
# The gold of Debian's binutils links in half the time.
$(UNIT) $(SIM) $(INTEROP): $(BUILD)/test/%: $(BUILD)/test/%.o $(BUILD)/libtest.a \
		$(BUILD)/libgfl.a
	$(Q)$(CC) $(LDFLAGS) -fuse-ld=gold -o $@ $^ $(LDLIBS)
$(CHAOS): $(CHAOS_OBJ) $(BUILD)/libtest.a $(BUILD)/libgfl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(POWER): test/chaos/power.c test/chaos/power.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MF $@.d -fPIC -shared -o $@ $<
$(BENCHES): $(BUILD)/test/%: $(BUILD)/test/%.o $(BUILD)/gen/test/interop/echo.pb-c.o \
		$(BUILD)/libgfl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# A peer, in C++.
$(BUILD)/test/bench/server_grpcpp: test/bench/server_grpcpp.cc test/interop/echo.proto
	@mkdir -p $(BUILD)/gen
	$(Q)protoc --cpp_out=$(BUILD)/gen --grpc_out=$(BUILD)/gen \
		--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) \
		test/interop/echo.proto
	$(Q)g++ -std=gnu++17 -O2 -I$(BUILD)/gen -o $@ $< \
		$(BUILD)/gen/test/interop/echo.*.cc $$(pkg-config --libs grpc++ protobuf)
$(FUZZ): $(BUILD)/test/%: $(BUILD)/test/%.o $(BUILD)/libtest.a $(BUILD)/libgfl.a
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
$(TEST:%.c=$(BUILD)/%.o) $(UNIT:=.o) $(SIM:=.o) $(INTEROP:=.o) \
	$(BENCHES:=.o) $(FUZZ:=.o) $(CHAOS_OBJ) \
	$(CMD:$(BUILD)/bin/%=$(BUILD)/cmd/%.o): | $(GEN) $(TEST_GEN)

# Each suite is TAP on stdout; test/check.sh runs them all and counts.
check-unit: $(UNIT)
	@test/tap.sh $(UNIT)
check-sim: $(SIM)
	@test/tap.sh $(SIM)
# BATS = some of the files.
BATS := test/bats
check-bats: all $(POWER)
	@PATH="$(CURDIR)/$(BUILD)/bin:$$PATH" bats --tap --timing $(BATS)
# Real processes, killed and cut off, on disks that fail.
check-chaos: all $(CHAOS) $(POWER)
	@test/chaos/check.sh $(CURDIR)/$(BUILD)
# Whatever is built, the generated documentation and the layers must fit it.
check-lint: all $(GEN)
	@rc=0; for t in test/lint/*.sh; do CC="$(CC)" BUILD=$(BUILD) $$t || rc=1; done; \
		exit $$rc
# Figures beside those of peers that Debian has; BENCH = some of them.
BENCH :=
bench: deps-bench
	@$(MAKE) --no-print-directory -j2 all $(BENCHES) \
		$(BUILD)/test/bench/server_grpcpp
	@test/bench/bench.sh $(CURDIR)/$(BUILD) $(BENCH)
# Another library's matchings, to compare ours with.
$(BUILD)/test/interop/lemon: test/interop/lemon.cc
	@mkdir -p $(@D)
	$(Q)g++ -std=gnu++17 -O2 -o $@ $<
# Our matchings beside LEMON's, our codecs beside Python's; then clients of
# others, which npm installs once.
check-interop: all $(INTEROP) $(BUILD)/test/interop/lemon
	@rc=0; $(BUILD)/test/interop/matching 100 | $(BUILD)/test/interop/lemon 100 || rc=1; \
	test/interop/codec.py $(BUILD)/test/interop/codec || rc=1; \
		test/interop/install.sh build/interop && \
		test/interop/run.sh $(BUILD) build/interop || rc=1; exit $$rc
# libFuzzer on whatever reads bytes from outside, built apart by clang:
# `make fuzz SECONDS=600 TARGET="http1 json"`; check-fuzz is a short run of all,
# with the same inputs each time.
SECONDS := 60
RUNS := -1
TARGET := $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/*.c))
FUZZ_BUILD := build/fuzz
FUZZ_SEED := 0
fuzz: deps-check
	@$(MAKE) --no-print-directory run-fuzz
check-fuzz:
	@$(MAKE) --no-print-directory SECONDS=5 RUNS=20000 FUZZ_SEED=1 \
		run-fuzz
run-fuzz:
	@$(MAKE) --no-print-directory -j2 BUILD=$(FUZZ_BUILD) CC=clang-14 DNNL=0 \
		SAN=fuzzer-no-link,address,undefined \
		$(TARGET:%=$(FUZZ_BUILD)/test/fuzz/%)
	@test/fuzz/run.sh $(SECONDS) $(RUNS) $(FUZZ_SEED) \
		$(TARGET:%=$(FUZZ_BUILD)/test/fuzz/%)
# As long as there is time: `make soak MINUTES=60`, `make soak SEEDS=100000`,
# each part for so long; FROM=N begins with that seed, not with a fresh one.
MINUTES := 10
SEEDS :=
FROM :=
PART := sim chaos fuzz torture
soak: deps-check
	@$(MAKE) --no-print-directory -j2 DEV=1 all $(SIM) $(CHAOS) $(POWER) \
		$(BUILD)/test/unit/raft_torture_test
	@MAKE="$(MAKE)" test/soak.sh $(BUILD) $(MINUTES) "$(SEEDS)" "$(FROM)" $(PART)
# Which lines and branches of lib/raft its tests run.
COVERED := $(wildcard test/unit/raft_*_test.c) test/unit/journal_test.c \
	test/unit/node_test.c test/sim/raft_sim.c
coverage: deps-check
	@$(MAKE) --no-print-directory -j2 COVERAGE=1 BUILD=build/coverage \
		$(COVERED:%.c=build/coverage/%)
	@test/coverage.sh build/coverage $(COVERED:%.c=build/coverage/%)
docs: all
	share/docs.sh $(BUILD)/bin .
check: deps-check
	@$(MAKE) --no-print-directory check-run
check-run:
	@MAKE="$(MAKE)" test/check.sh
demo: deps
	@$(MAKE) --no-print-directory -j2 all
	@PATH="$(CURDIR)/$(BUILD)/bin:$$PATH" gfl-scenario demo

install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 \
		share/man/man7 share/bash-completion/completions \
		share/zsh/site-functions share/fish/vendor_completions.d \
		share/gfl/scenario share/gfl/data share/doc/gfl/examples \
		lib/systemd/system)
	install -m 755 $(CMD) $(SH) $(DESTDIR)$(PREFIX)/bin
	install -m 644 share/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 share/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 644 $(PARTS) $(DESTDIR)$(PREFIX)/share/gfl/scenario
	install -m 644 share/data/* $(DESTDIR)$(PREFIX)/share/gfl/data
	install -m 644 share/gfl_exec.py $(DESTDIR)$(PREFIX)/share/gfl
	install -m 644 share/doc/* $(DESTDIR)$(PREFIX)/share/doc/gfl
	sed 's|(share/doc/|(|' README.md \
		>$(DESTDIR)$(PREFIX)/share/doc/gfl/README.md
	install -m 755 share/examples/* $(DESTDIR)$(PREFIX)/share/doc/gfl/examples
	install -m 644 share/cron/* $(DESTDIR)$(PREFIX)/share/doc/gfl/examples
	for u in share/systemd/*; do sed 's|/usr/local/|$(PREFIX)/|' $$u \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done
	install -m 644 completions/gfl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/gfl
	install -m 644 completions/_gfl \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 completions/gfl.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	for p in $(filter gfl-%,$(notdir $(CMD) $(SH))); do ln -sf gfl \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p && \
		ln -sf gfl.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish; \
		done

clean:
	rm -rf build

.PHONY: all deps deps-check demo coverage check check-run check-unit check-sim \
	check-bats check-chaos check-lint check-interop fuzz check-fuzz run-fuzz \
	soak deps-bench \
	bench docs install clean
.SECONDARY:
-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
