// The text form of a graph: the language of tests, dumps and bug reports.
//
//   # a comment; blank lines are skipped
//   x = Placeholder() {dtype=float32, shape=shape[?,64]} : float32[?,64] @ "train.cc":12
//   w = Const() {value=float32[64]{0.5 ...}} : float32[64]
//   Add = AddV2(x, w) : float32[?,64] group=3 @ "train.cc":13
//   Print = Print(Add:0, ^x) {message="a"}
//
// One node a line, after the nodes it uses:
//
//   node     = NAME "=" OP "(" [input {"," input}] ")" ["{" [attr {"," attr}] "}"]
//              [":" type {"," type}] ["device" "=" STRING] ["group" "=" INT] ["@" STRING ":" INT]
//   input    = NAME [":" INT] | "^" NAME            (control inputs come last)
//   attr     = WORD "=" value
//   type     = DTYPE shape                          float32[?,64], resource[]
//   shape    = "[" [size {"," size}] "]"            size = INT | "?"
//   value    = INT | FLOAT | "true" | "false" | STRING | DTYPE | "shape" shape | tensor
//            | "[" [INT {"," INT}] "]" | "types" "[" [DTYPE {"," DTYPE}] "]"
//   tensor   = DTYPE shape "{" [number {"," number}] ["..."] "}"      "..." repeats the one number
//
// A FLOAT has a point or an exponent, or is nan, -nan, inf, -inf. A STRING is quoted as in C. NAME
// is TensorFlow's [A-Za-z0-9.][A-Za-z0-9_.\-/>]*; OP is the op's wire name. Types are checked
// against the op's shape rule; left out, they are filled in. A variable's value is not part of the
// text.
#ifndef DUET_GRAPH_TEXT_H_
#define DUET_GRAPH_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/attrs.h"
#include "graph/graph.h"

namespace duet {

std::string PrintGraph(const Graph& graph);
// One line, without its end.
std::string PrintNode(const Graph& graph, int i);

// Parses the text form. InvalidArgument says "line 3, column 14: found ..., expected ...";
// ResourceExhausted if the text asks for more than `options` allow.
absl::StatusOr<Graph> ParseGraphText(std::string_view text, const ImportOptions& options = {});

// Parses what AttrToString prints.
absl::StatusOr<AttrValue> ParseAttr(std::string_view text, const ImportOptions& options = {});

}  // namespace duet

#endif  // DUET_GRAPH_TEXT_H_
