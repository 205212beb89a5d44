// Attributes of an op call. Equality, hash, text and wire encoding all derive from the one variant
// below.
#ifndef DUET_CORE_ATTRS_H_
#define DUET_CORE_ATTRS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace duet {

// The value of an attribute. Tensors compare by dtype, shape and bytes.
using AttrValue = std::variant<int64_t, float, bool, std::string, DType, Shape, Tensor,
                               std::vector<int64_t>, std::vector<DType>>;
bool AttrEquals(const AttrValue& a, const AttrValue& b);
size_t AttrHash(const AttrValue& a);
// "3", "0.5", "true", "\"SAME\"", "float32", "[2,?]", "[1, 2]", "float32[2]{1, 2}"; parsed by
// graph/text.
std::string AttrToString(const AttrValue& a);

// A small map from name to value, sorted by name. Types that follow from the inputs ("T") are not
// stored; import checks them and export writes them.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, AttrValue>> items) {
    for (const auto& [name, value] : items) Set(name, value);
  }
  void Set(std::string_view name, AttrValue value);
  const AttrValue* Find(std::string_view name) const;
  // The value, which must be there with this type: ops read attributes after validation filled
  // defaults in.
  template <class T>
  const T& Get(std::string_view name) const {
    const AttrValue* v = Find(name);
    InternalCheck(v != nullptr && std::holds_alternative<T>(*v), "missing attribute");
    return std::get<T>(*v);
  }
  bool empty() const { return items_.empty(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  friend bool operator==(const Attrs& a, const Attrs& b);
  size_t Hash() const;

 private:
  std::vector<std::pair<std::string, AttrValue>> items_;
};

}  // namespace duet

#endif  // DUET_CORE_ATTRS_H_
