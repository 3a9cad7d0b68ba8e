#!/usr/bin/env bash
# Fetches the regression SQL of PostgreSQL 15 from Debian's source package, for the oracle of the tests.
# Usage: regression-sql.sh FOLDER      makes FOLDER/{sql,data,parallel_schedule} and FOLDER/lib/{regress,...}.so
set -euo pipefail

folder=$1
work=$folder.work
rm -rf "$folder" "$work"
mkdir -p "$folder" "$work/lists/partial"
cd "$work"

# Debian machines mostly list binary packages only, so the sources get a list of their own.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for place in "debian bookworm" "debian bookworm-updates" "debian-security bookworm-security"; do
    read -r archive suite <<<"$place"
    echo "deb-src [signed-by=$keyring] http://deb.debian.org/$archive $suite main"
done >sources.list
apt=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update >/dev/null

# The installed server's own version if there is one, else the newest that a mirror still has.
installed=$(dpkg-query -W -f '${source:Version}' postgresql-15)
offered=$(apt-cache "${apt[@]}" showsrc --only-source postgresql-15 | sed -n 's/^Version: //p' | sort -rVu)
for version in $installed $offered; do
    apt-get "${apt[@]}" source --download-only "postgresql-15=$version" >/dev/null 2>&1 && break
done
archive=$(echo postgresql-15_*.orig.tar.bz2)
[ -f "$archive" ] || { echo "sluice: no source package of PostgreSQL 15 can be had" >&2; exit 1; }
tar -xjf "$archive" --strip-components 1 --wildcards '*/src/test/regress/*'
mv src/test/regress/{sql,data,parallel_schedule} "$folder"

# Some files want C functions of the suite's own library; the server's headers come from a package that is not installed.
apt-get -q -o APT::Sandbox::User=root download postgresql-server-dev-15 >/dev/null
dpkg-deb -x postgresql-server-dev-15_*.deb .
mkdir "$folder/lib"
gcc -shared -fPIC -O2 -w -I usr/include/postgresql/15/server -o "$folder/lib/regress.so" src/test/regress/regress.c
cp /usr/lib/postgresql/15/lib/{autoinc,refint}.so "$folder/lib"
chmod -R a+rX "$folder"
rm -rf "$work"
