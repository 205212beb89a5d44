#!/usr/bin/env bash
# What README.md says of the program: both modes print one loss, and the weights are found.
set -euo pipefail
output="$("$1")"
echo "$output"
now="$(sed -n 's/^now: *//p' <<<"$output")"
recorded="$(sed -n 's/^recorded: *//p' <<<"$output")"
[[ -n "$now" && "$now" == "$recorded" ]] || { echo "FAILED: the modes differ"; exit 1; }
tail -n 3 <<<"$output" | tr -d '[]' | python3 -c '
import sys
found = [float(line) for line in sys.stdin]
assert len(found) == 3, found
assert all(abs(a - b) < 1e-3 for a, b in zip(found, [1.5, -2.0, 0.5])), found
'
