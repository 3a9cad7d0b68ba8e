#!/usr/bin/env bash
# Installs from Debian what building, testing and the demo need and this machine lacks.
# Usage: install.sh build|test|servers|dist|bench ...      (each group implies build)
set -euo pipefail

groups=(build "$@")
declare -A packages=(
    # pg_query's build runs bindgen and a C compiler; glommio's build script wants git.
    [build]="build-essential git libclang-dev clang pkg-config"
    # psql and the servers of the tests and the demo, what the oracle runs and asks; Node runs the OIDC provider, Java the
    # JDBC driver's client, which it compiles as it starts.
    [test]="postgresql-15 postgresql-client-15 postgresql-15-pgaudit sqlsmith python3-venv nodejs npm openssl curl openjdk-17-jdk-headless libpostgresql-jdbc-java"
    # What tests against real catalogs need beside.
    [servers]="postgresql-15-postgis-3"
    # llvm-profdata.
    [dist]="llvm-19"
    [bench]="haproxy pgbouncer postgresql-15 util-linux"
)

if ! command -v cargo >/dev/null; then
    echo "sluice: no Rust toolchain: install rustup (https://rustup.rs), then 'rustup toolchain install stable' (1.95 or later)" >&2
    exit 1
fi

is_installed() {
    case "$1" in
        # Another build of Node, npm or Python's venv than Debian's serves as well.
        nodejs) command -v node >/dev/null ;;
        npm) command -v npm >/dev/null ;;
        openjdk-17-jdk-headless) javac -version >/dev/null 2>&1 ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        # scripts/dist.sh takes rustup's llvm-tools where they are installed.
        llvm-19) [ -x "$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/llvm-profdata" ] ||
            command -v llvm-profdata-19 >/dev/null ;;
        *) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
    esac
}

missing=()
for group in "${groups[@]}"; do
    for package in ${packages[$group]:?unknown group $group}; do
        is_installed "$package" || missing+=("$package")
    done
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "sluice: missing packages: ${missing[*]}; run as root, or: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "sluice: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# make -j installs several groups at once.
exec 9>/var/lock/sluice-install
flock 9
# Debian's packages would start a server of their own on the usual port.
mkdir -p /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/sluice.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
