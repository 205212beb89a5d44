#include "core/dtype.h"

#include <array>
#include <utility>

namespace duet {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 7> kNames = {{
    {kFloat32, "float32"},
    {kFloat64, "float64"},
    {kInt32, "int32"},
    {kUInt8, "uint8"},
    {kInt64, "int64"},
    {kBool, "bool"},
    {kResource, "resource"},
}};

}  // namespace

std::string_view Name(DType dtype) {
  for (const auto& [d, name] : kNames) {
    if (d == dtype) return name;
  }
  return "invalid";
}

DType DTypeFromName(std::string_view name) {
  for (const auto& [d, n] : kNames) {
    if (n == name) return d;
  }
  return kInvalid;
}

}  // namespace duet
