#!/usr/bin/env bash
# The whole demonstration, as tools/dev runs it, and what it says of bad arguments.
set -euo pipefail
digits="$1" data="$2"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

output="$("$digits" "$data")" || fail "the demonstration failed"
echo "$output"
for row in "accuracy on held-out rows" "time per step" "kernels compiled" "peak memory" "nodes through"; do
  grep -q "$row" <<<"$output" || fail "no row '$row'"
done
[[ "$(grep -c '^bits equal: .* yes$' <<<"$output")" == 2 ]] || fail "bits are not equal"

bad="$TEST_TMPDIR/bad.csv"
printf '1,2,3\n' >"$bad"
for arguments in "$bad" "$TEST_TMPDIR/none.csv.gz" "--epochs=0" "--bogus"; do
  code=0
  error="$("$digits" $arguments 2>&1 >/dev/null)" || code=$?
  ((code == 1 || code == 2)) || fail "exit code $code for $arguments"
  [[ "$error" == "digits: "* && "$error" != *$'\n'* ]] || fail "not one line for $arguments: $error"
done
