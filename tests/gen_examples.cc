// Writes a C++ test with every example of the registry as code, so that an example that does not
// compile, or whose result is another, fails.
//
//   gen_examples > examples_test.cc

#include <cstdio>
#include <string>

#include "core/op_def.h"
#include "core/strings.h"

namespace duet {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string ExamplesTest() {
  std::string out =
      "// Generated from the registry.\n"
      "#include \"duet.h\"\n"
      "#include \"gtest/gtest.h\"\n"
      "#include \"tests/test_environment.h\"\n\n"
      "namespace duet {\nnamespace {\n\n"
      "const testing::OwnKernelCache own_cache;\n\n";
  for (const OpDef* op : AllOps()) {
    int count = 0;
    for (const OpExample& e : op->examples) {
      AppendTo(&out, "TEST(ExamplesTest, ", op->name, "_", count++,
               ") {\n  const Tensor result = ", e.code, ";\n  EXPECT_EQ(result.ValueString(), \"",
               Escaped(e.result), "\");\n}\n\n");
    }
  }
  return out + "}  // namespace\n}  // namespace duet\n";
}

}  // namespace
}  // namespace duet

int main() {
  const std::string test = duet::ExamplesTest();
  return std::fwrite(test.data(), 1, test.size(), stdout) == test.size() ? 0 : 1;
}
