// Prints docs/ops.md, the reference of all public ops, from the registry.
//
//   op_docs > docs/ops.md                 writes it
//   op_docs --check docs/ops.md           fails if it is out of date

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/op_def.h"
#include "core/strings.h"

namespace duet {
namespace {

struct Section {
  const char* title;
  std::vector<const OpDef*> ops;
};

std::string Types(const OpDef& op, const ArgDef& arg) {
  if (arg.type_attr.empty()) return std::string(Name(arg.type));
  for (const TypeAttrDef& t : op.type_attrs) {
    if (t.name == arg.type_attr) return t.name;
  }
  return "?";
}

std::string Signature(const OpDef& op) {
  const auto args = [&](const std::vector<ArgDef>& list) {
    return absl::StrJoin(list, ", ", [&](std::string* out, const ArgDef& arg) {
      AppendTo(out, arg.name, ": ", arg.number_attr.empty() ? "" : Str(arg.number_attr, " × "),
               Types(op, arg));
    });
  };
  return Str("(", args(op.inputs), ") → (", args(op.outputs), ")");
}

std::string TypeSets(const OpDef& op) {
  std::vector<std::string> sets;
  for (const TypeAttrDef& t : op.type_attrs) {
    std::vector<std::string> names;
    for (DType d : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
      if (t.allowed.Contains(d)) names.emplace_back(Name(d));
    }
    sets.push_back(
        Str("`", t.name, "`: ", absl::StrJoin(names, ", "), t.from_input ? "" : " (an attribute)"));
  }
  return absl::StrJoin(sets, "; ");
}

std::string Attributes(const OpDef& op) {
  return absl::StrJoin(op.attrs, ", ", [](std::string* out, const AttrDef& a) {
    AppendTo(out, "`", a.name);
    if (!a.required) AppendTo(out, " = ", AttrToString(a.default_value));
    *out += "`";
  });
}

std::string Exactness(const OpDef& op) {
  if (op.tolerance_ulp == 0) return "";
  return Str("Within ", op.tolerance_ulp, " ULP of the reference interpreter.");
}

void Document(const OpDef& op, std::string* out) {
  AppendTo(out, "### ", op.public_name, "\n\n", op.doc, "\n\n");
  AppendTo(out, "Recorded as `", op.name, "` `", Signature(op), "`");
  if (!op.attrs.empty()) AppendTo(out, ", attributes ", Attributes(op));
  *out += ".";
  if (!op.type_attrs.empty()) AppendTo(out, " ", TypeSets(op), ".");
  if (!op.differentiable) *out += " Not differentiable.";
  if (const std::string exactness = Exactness(op); !exactness.empty()) {
    AppendTo(out, " ", exactness);
  }
  *out += "\n\n";
  if (op.examples.empty()) return;
  *out += "```cpp\n";
  for (const OpExample& e : op.examples) {
    AppendTo(out, e.code, "\n");
    AppendTo(out, "// ", absl::StrReplaceAll(e.result, {{"\n", "\n// "}}), "\n");
  }
  *out += "```\n\n";
}

std::string OpsDocument() {
  std::vector<Section> sections = {{"Making tensors", {}},
                                   {"Elementwise", {}},
                                   {"Reductions", {}},
                                   {"Matrix products", {}},
                                   {"Views", {}},
                                   {"Made of other ops", {}},
                                   {"Moving elements, random numbers and variables", {}}};
  size_t count = 0;
  for (const OpDef* op : AllOps()) {
    if (op->name.rfind("Duet", 0) == 0) continue;  // parts of gradients
    ++count;
    size_t at = 6;
    if (op->family == Family::kConstant || op->family == Family::kPlaceholder) at = 0;
    if (op->family == Family::kElementwise) at = 1;
    if (op->family == Family::kReduction) at = 2;
    if (op->family == Family::kContraction) at = 3;
    if (op->family == Family::kView) at = 4;
    if (op->family == Family::kComposite) at = 5;
    sections[at].ops.push_back(op);
  }
  std::string out = Str(
      "# Ops\n\nAll ", count,
      " public ops, printed from their definitions by `bazel run //tests:op_docs`; every example "
      "is compiled and checked by `//tests:examples_test`. The C++ functions are declared in "
      "`core/ops/ops.h`.\n\n| function | recorded as | section |\n|---|---|---|\n");
  for (Section& s : sections) {
    std::sort(s.ops.begin(), s.ops.end(),
              [](const OpDef* a, const OpDef* b) { return a->public_name < b->public_name; });
    for (const OpDef* op : s.ops) {
      AppendTo(&out, "| ", op->public_name, " | `", op->name, "` | ", s.title, " |\n");
    }
  }
  for (const Section& s : sections) {
    if (s.ops.empty()) continue;
    AppendTo(&out, &s == &sections[0] ? "\n" : "", "## ", s.title, "\n\n");
    for (const OpDef* op : s.ops) Document(*op, &out);
  }
  while (out.size() > 1 && out[out.size() - 2] == '\n') out.pop_back();
  return out;
}

int Check(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::string found(std::istreambuf_iterator<char>(in), {});
  if (found == OpsDocument()) return 0;
  std::fprintf(stderr, "%s is out of date; write it with: bazel run //tests:op_docs > %s\n", path,
               path);
  return 1;
}

}  // namespace
}  // namespace duet

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--check") return duet::Check(argv[2]);
  const std::string text = duet::OpsDocument();
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
