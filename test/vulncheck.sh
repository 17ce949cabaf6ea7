#!/usr/bin/env bash
# Asks govulncheck what is known of the code that is linked and called, where its database can be reached.
set -euo pipefail

[ -x bin/govulncheck ] || go build -C tools -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck
status=0
said=$(timeout 120 bin/govulncheck ./... 2>&1) || status=$?
case $status in
0) ;;
3)
	echo "$said"
	exit 1
	;;
*)
	if grep -qE 'vuln\.go\.dev|fetching vulnerabilities|no such host|connection refused|i/o timeout' <<<"$said" || [ $status = 124 ]; then
		echo "not asked for known vulnerabilities: vuln.go.dev cannot be reached from here"
	else
		echo "$said"
		exit 1
	fi
	;;
esac
