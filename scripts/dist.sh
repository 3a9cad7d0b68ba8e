#!/usr/bin/env bash
# Builds what packages ship, target/dist/sluice, by a profile of the benchmark's own load.
#
# Between a proxy's system calls the kernel has the CPU's caches, so what runs there is short of instructions more than of
# anything else, and a compiler that knows which branches are taken leaves the others out of the way. A gateway that counts
# them is built first, is run under target/dist/bench for a minute, and what it counted goes into the one that is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
# Naming the target keeps these flags from build scripts and macros.
target=$(rustc --print host-tuple)
counting=$PWD/target/counting
counts=$counting/counts
profile=$counting/sluice.profdata

build() {
    local folder=$1 flags=$2
    RUSTFLAGS="${RUSTFLAGS:-} $flags" "$cargo" build --profile dist --locked -p sluice --target "$target" --target-dir "$folder"
}

# rustup's llvm-tools where they are installed; Debian's read and write the same format.
profdata=${LLVM_PROFDATA:-$(rustc --print sysroot)/lib/rustlib/$target/bin/llvm-profdata}
[ -x "$profdata" ] || profdata=llvm-profdata-19
if ! command -v "$profdata" >/dev/null; then
    echo "sluice: llvm-profdata is missing: 'rustup component add llvm-tools', or scripts/install.sh dist" >&2
    exit 1
fi

"$cargo" build --profile dist --locked -p sluice-bench
build "$counting" "-Cprofile-generate=$counts"
counter=$counting/$target/dist/sluice
if [ ! "$profile" -nt "$counter" ]; then
    rm -rf "$counts"
    echo "sluice: counting, for a minute" >&2
    target/dist/bench --sluice "$counter" --proxies sluice,sluice-nomask,sluice-tls --workloads point,rows100,stream,churn \
        --connections 1,16,64 --rounds 1 --seconds 2 --warm-up 0.2 --output "$counting/bench.json" >"$counting/bench.log" 2>&1 ||
        { tail -n 20 "$counting/bench.log" >&2; exit 1; }
    if ! "$profdata" merge -o "$profile.new" "$counts"; then
        echo "sluice: $profdata cannot read what $(rustc --version) counts: name a newer one by LLVM_PROFDATA" >&2
        exit 1
    fi
    mv "$profile.new" "$profile"
fi
build "$PWD/target/profiled" "-Cprofile-use=$profile"
cp "target/profiled/$target/dist/sluice" target/dist/sluice
