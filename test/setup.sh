#!/usr/bin/env bash
# Installs what the tests need and a machine may lack, from Debian: Postgres' programs, docker-compose, Prometheus
# with promtool, amtool, PowerDNS' recursor, git, openssl, a compiler, Node.js with npm, Chromium. What is there already is left alone.
# With the name of a package, as make demo: only that one.
set -euo pipefail

missing=()
found_postgres() {
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb /usr/local/pgsql/bin/initdb >/dev/null 2>&1 ||
		{ command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/initdb" ]; }
}
found_postgres || missing+=(postgresql)
command -v docker-compose >/dev/null || missing+=(docker-compose)
command -v promtool >/dev/null && command -v prometheus >/dev/null || missing+=(prometheus)
command -v amtool >/dev/null || missing+=(prometheus-alertmanager)
command -v pdns_recursor >/dev/null || missing+=(pdns-recursor) # its API has keys
command -v git >/dev/null || missing+=(git)
command -v openssl >/dev/null || missing+=(openssl) # makes the encrypted keys that are read
command -v curl >/dev/null || missing+=(curl) # the commands of docs/api.md
command -v node >/dev/null || missing+=(nodejs) # authorization servers of npm (sim/authserver)
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || missing+=(chromium fonts-liberation) # looks at the pages
command -v gcc >/dev/null || missing+=(gcc libc6-dev) # the race detector is linked with cgo
if [ $# -gt 0 ]; then
	[[ " ${missing[*]} " == *" $1 "* ]] && missing=("$1") || missing=()
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "this needs: ${missing[*]}. Install them and try again." >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "this needs: ${missing[*]}. Install them as root and try again." >&2; exit 1; }
	as_root=(sudo)
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The distribution's server is not wanted, only its programs.
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
	"${as_root[@]}" mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
# Nor are running services.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
	"${as_root[@]}" chmod +x /usr/sbin/policy-rc.d
	trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
