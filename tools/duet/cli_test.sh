#!/usr/bin/env bash
# Every subcommand of `duet`, on good and on bad input.
set -euo pipefail
duet="$PWD/$1"
cd "$TEST_TMPDIR"
export DUET_CACHE_DIR="$TEST_TMPDIR/cache"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# expect TEXT: out.txt holds it.
expect() {
  grep -qF -- "$1" out.txt || { cat out.txt; fail "not printed: $1"; }
}

# bad MESSAGE ARGUMENT...: exits with 1 and prints one line that holds MESSAGE.
bad() {
  local message="$1" code=0
  shift
  "$duet" "$@" >bad.out 2>bad.err || code=$?
  ((code == 1)) || fail "duet $*: exit code $code"
  [[ ! -s bad.out ]] || fail "duet $*: prints to standard output"
  (("$(wc -l <bad.err)" == 1)) || { cat bad.err; fail "duet $*: not one line"; }
  [[ "$(cat bad.err)" == "duet: "*"$message"* ]] || fail "duet $*: $(cat bad.err); expected: $message"
}

# json EXPRESSION ARGUMENT...: the report is JSON, and the expression over it, `r`, holds.
json() {
  local expression="$1"
  shift
  "$duet" "$@" --json >out.json || fail "duet $*"
  python3 -m json.tool out.json >/dev/null || fail "duet $* --json is not JSON"
  python3 -c 'import json, sys
r = json.load(open("out.json"))
sys.exit(not eval(sys.argv[1]))' "$expression" || { cat out.json; fail "duet $*: $expression"; }
}

cat >layer.txt <<'END'
x = Placeholder() {dtype=float32, shape=shape[?,3]} @ "model.cc":7
w = Const() {value=float32[3,2]{1.0, 2.0, 3.0, 4.0, 5.0, 6.0}}
unused = Exp(x)
product = MatMul(x, w) @ "model.cc":9
y = Relu(product) @ "model.cc":10
END
python3 - <<'END'
import struct
def save(name, descr, shape, data):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, shape)
    header += ' ' * (63 - (10 + len(header)) % 64) + '\n'
    with open(name, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + data)
save('x.npy', '<f4', (2, 3), struct.pack('<6f', 1, 0, 0, -1, -1, -1))
save('wide.npy', '<f4', (2, 4), struct.pack('<8f', *range(8)))
save('ints.npy', '<i4', (2, 3), struct.pack('<6i', *range(6)))
END
head -c 100 x.npy >cut.npy

# show
"$duet" show layer.txt >out.txt
expect "layer.txt: 5 nodes"
expect "model.cc:9"
expect "float32[?,2]"
expect "24 B"
expect "y = Relu(product)"
json 'len(r["nodes"]) == 5 and r["nodes"][3]["inputs"] == ["x:0", "w:0"] and r["parameter_bytes"] == 24' show layer.txt
json 'r["nodes"][0]["outputs"][0] == {"dtype": "float32", "shape": [-1, 3], "type": "float32[?,3]"}' show layer.txt

python3 -c 'print("w = Const() {value=float32[1000]{%s}}" % ", ".join("%d.5" % i for i in range(1000)))' >long.txt
"$duet" show long.txt >out.txt
expect "0.5, 1.5, 2.5"
expect ", ...}"
json '"998.5, 999.5}" in r["text"]' show long.txt

# opt
"$duet" opt --list-passes >out.txt
for pass in prune cse constant_folding simplify fusion; do expect "$pass"; done
json '"fusion" in [p["name"] for p in r["passes"]] and all(p["doc"] for p in r["passes"])' opt --list-passes
"$duet" opt --passes=prune,cse --fetch y layer.txt pruned.pb >out.txt
expect "pruned.pb: 4 of 5 nodes"
json '[n["name"] for n in r["nodes"]] == ["x", "w", "product", "y"]' show pruned.pb
json 'r["nodes_before"] == 4 and [p["name"] for p in r["passes"]] == ["prune"]' opt --passes prune pruned.pb again.pbtxt
json 'r["nodes_before"] == 5 and len(r["passes"]) > 3' opt --fetch=y:0 layer.txt all.txt
# Every form of file holds the same graph.
"$duet" opt --passes=prune again.pbtxt third.txt >/dev/null
"$duet" opt --passes=prune pruned.pb second.txt >/dev/null
cmp second.txt third.txt || fail "the forms differ"

# run
"$duet" run layer.txt --feed x=x.npy --fetch y >out.txt
expect "y:0 = float32[2,2]"
expect "[[1. 2.]"
expect " [0. 0.]]"
expect "kernel"
json 'r["results"][0]["file"] == "y.npy" and r["stats"]["peak_bytes"] > 0 and len(r["stats"]["passes"]) > 3' \
  run layer.txt --feed x=x.npy --fetch y --out y.npy
"$duet" run pruned.pb --feed x:0=x.npy --fetch product --fetch y:0 --out p.npy --out y2.npy \
  --threads 1 --disable-passes cse,fusion --memory-limit 1000000 >/dev/null
cmp y.npy y2.npy || fail "y differs between the forms and passes"
python3 - <<'END' || fail "wrong values in a file"
import struct
def load(name):
    data = open(name, 'rb').read()
    return struct.unpack('<4f', data[10 + struct.unpack('<H', data[8:10])[0]:])
assert load('y.npy') == (1, 2, 0, 0), load('y.npy')
assert load('p.npy') == (1, 2, -9, -12), load('p.npy')
END
json 'len(r["results"]) == 2' run layer.txt --feed x=x.npy --fast-math
json '[p["disabled"] for p in r["stats"]["passes"] if p["name"] == "fusion"] == [True]' \
  run layer.txt --feed x=x.npy --disable-passes fusion

# compare
"$duet" compare layer.txt --batch 5 >out.txt
expect "float32[5,3]"
expect "break-even"
expect "first differing node: none"
for graph in elementwise_chain softmax mlp; do
  json 'r["bits_equal"] and r["max_ulp"] == 0 and r["first_difference"] is None and r["eager"]["seconds_per_run"] > 0' \
    compare "$graph" --threads 1
done
json 'r["bits_equal"] and r["feeds"][0]["type"] == "float32[2,3]"' compare layer.txt --feed x=x.npy --fetch y

# help
"$duet" --help >out.txt
for text in show opt run compare DUET_DUMP_TO DUET_NUM_THREADS; do expect "$text"; done
"$duet" compare --help >out.txt
expect "elementwise_chain"
"$duet" run --help >out.txt
expect "--memory-limit"

# bad input
bad "cannot open 'none.pb'" show none.pb
bad "'model.onnx' is no graph file by its name" show model.onnx
mkdir folder.pb
bad "not a regular file" show folder.pb
head -c 20 pruned.pb >cut.pb
bad "cut.pb" show cut.pb
printf 'x = Nothing()\n' >unknown.txt
bad "Nothing" show unknown.txt
printf 'x = Exp(y)\n' >dangling.txt
bad "dangling.txt" run dangling.txt
printf 'line\nline\0\377line' >rubbish.pbtxt
bad "rubbish.pbtxt" show rubbish.pbtxt
bad "no pass is called 'magic'" opt --passes=magic layer.txt out.pb
bad "IN and OUT" opt layer.txt
bad "out.onnx" opt layer.txt out.onnx
bad "none/out.pb" opt layer.txt none/out.pb
bad "z" run layer.txt --fetch z
bad "add --feed x=FILE.npy" run layer.txt --fetch y
bad "z" run layer.txt --feed z=x.npy --fetch y
bad "'x.npy' is no feed" run layer.txt --feed x.npy --fetch y
bad "cannot open 'none.npy'" run layer.txt --feed x=none.npy --fetch y
bad "cut.npy: damaged" run layer.txt --feed x=cut.npy --fetch y
bad "float32" run layer.txt --feed x=ints.npy --fetch y
bad "[2,4]" run layer.txt --feed x=wide.npy --fetch y
bad "1 file for 2 results" run layer.txt --feed x=x.npy --out y.npy
bad "none/y.npy" run layer.txt --feed x=x.npy --fetch y --out none/y.npy
bad "magic" run layer.txt --feed x=x.npy --fetch y --disable-passes magic
bad "memory" run layer.txt --feed x=x.npy --fetch y --memory-limit 1
bad "--threads" run layer.txt --threads many
bad "no example is called 'resnet'; there are elementwise_chain" compare resnet
bad "ints.npy holds int32[2,3]" compare layer.txt --feed x=ints.npy
bad "subcommand" # nothing asked for
bad "no subcommand is called 'frobnicate'" frobnicate
bad "FILE" show
bad "--frob" show --frob layer.txt
ls ./*.npy.* ./*.pb.* 2>/dev/null && fail "temporary files are left"
echo "passed"
