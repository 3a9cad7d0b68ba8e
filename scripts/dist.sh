#!/usr/bin/env bash
# Builds what packages ship, target/dist/sluice, by a profile of the benchmark's own load.
#
# Between a proxy's system calls the kernel has the CPU's caches, so what runs there is short of instructions more than of
# anything else, and a compiler that knows which branches are taken leaves the others out of the way. A gateway that counts
# them is built first, is run under target/dist/bench for a minute, and what it counted goes into the one that is kept.
#
# Only the project's own crates are counted and profiled: dependencies are built once, and not as cold as that load leaves
# most of them. Cargo calls this script in rustc's place for them (RUSTC_WORKSPACE_WRAPPER), by the same path both times,
# as names in the profile depend on it.
set -euo pipefail

if [ -n "${SLUICE_PROFILE_FLAG:-}" ]; then
    case " $* " in
        *" --crate-name build_script_"*) exec "$@" ;;
        *) exec "$@" "$SLUICE_PROFILE_FLAG" ;;
    esac
fi

cd "$(dirname "$0")/.."
read -ra cargo <<<"${CARGO:-cargo}"
counting=$PWD/target/counting
counts=$counting/counts
profile=$counting/sluice.profdata
counter=$counting/dist/sluice

build() {
    local flag=$1
    shift
    SLUICE_PROFILE_FLAG=$flag RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/dist.sh \
        "${cargo[@]}" build --profile dist --locked -p sluice "$@"
}

# rustup's llvm-tools where they are installed; Debian's read and write the same format.
if [ -z "${LLVM_PROFDATA:-}" ]; then
    LLVM_PROFDATA=$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/llvm-profdata
    [ -x "$LLVM_PROFDATA" ] || LLVM_PROFDATA=llvm-profdata-19
fi
if ! command -v "$LLVM_PROFDATA" >/dev/null; then
    echo "sluice: $LLVM_PROFDATA is missing: 'rustup component add llvm-tools', or scripts/install.sh dist" >&2
    exit 1
fi

"${cargo[@]}" build --profile dist --locked -p sluice-bench
build "-Cprofile-generate=$counts" --target-dir "$counting"
# What was counted, and under which load.
stamp=$(sha256sum "$counter" target/dist/{bench,load,null-postgres} "$0" | sha256sum)
if [ ! -e "$profile" ] || [ "$stamp" != "$(cat "$counting/stamp" 2>/dev/null)" ]; then
    rm -rf "$counts" "$counting/stamp"
    echo "sluice: counting, for a minute" >&2
    target/dist/bench --sluice "$counter" --proxies sluice,sluice-nomask,sluice-tls --workloads point,rows100,stream,churn \
        --connections 1,16,64 --rounds 1 --seconds 2 --warm-up 0.2 --output "$counting/bench.json" ${DIST_BENCH_ARGS:-} >"$counting/bench.log" 2>&1 ||
        { tail -n 20 "$counting/bench.log" >&2; exit 1; }
    if ! "$LLVM_PROFDATA" merge -o "$profile" "$counts"; then
        echo "sluice: if $LLVM_PROFDATA is older than what $(rustc --version) writes, name a newer one by LLVM_PROFDATA" >&2
        exit 1
    fi
    echo "$stamp" >"$counting/stamp"
fi
build "-Cprofile-use=$profile"
