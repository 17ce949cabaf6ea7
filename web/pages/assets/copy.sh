#!/usr/bin/env bash
# Copies what npm installed in a directory (node_modules) into another, with the licences.
set -euo pipefail
from=$1 to=$2
cp "$from/htmx.org/dist/htmx.min.js" "$to/htmx.js"
cp "$from/uplot/dist/uPlot.iife.min.js" "$to/uplot.js"
cp "$from/uplot/dist/uPlot.min.css" "$to/uplot.css"
for package in htmx.org uplot; do
	node -p "const p = require('$from/$package/package.json'); p.name + ' ' + p.version"
	echo
	cat "$from/$package/LICENSE"
	printf '\n\n'
done > "$to/LICENCES.txt"
