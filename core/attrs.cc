#include "core/attrs.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "core/strings.h"

namespace duet {
namespace {

bool TensorEquals(const Tensor& a, const Tensor& b) {
  if (a.id() == b.id()) return true;
  if (!a.defined() || !b.defined()) return false;
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()) == 0;
}

// The shortest decimal that reads back as the same bits; "nan", "-nan", "inf", "-inf".
template <class T>
void AppendNumber(std::string* out, T value) {
  if constexpr (std::is_same_v<T, bool>) {
    AppendTo(out, value ? "true" : "false");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      AppendTo(out, std::signbit(value) ? "-nan" : "nan");
      return;
    }
    char buffer[64];
    const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
    const std::string_view text(buffer, static_cast<size_t>(end - buffer));
    AppendTo(out, text);
    if (text.find_first_of(".einf") == std::string_view::npos) AppendTo(out, ".0");
  } else {
    AppendTo(out, static_cast<int64_t>(value));
  }
}

std::string TensorToString(const Tensor& t) {
  if (!t.defined()) return "undefined";
  std::string out = Str(DescribeType(t.dtype(), t.shape()), "{");
  VisitDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(t.raw_data());
    const int64_t n = t.num_elements();
    // A constant of one value repeated is printed once: "{0.5 ...}".
    bool same = n > 1;
    for (int64_t i = 1; same && i < n; ++i) {
      same = std::memcmp(&data[i], &data[0], sizeof(T)) == 0;
    }
    for (int64_t i = 0; i < (same ? 1 : n); ++i) {
      if (i > 0) AppendTo(&out, ", ");
      AppendNumber(&out, data[i]);
    }
    if (same) AppendTo(&out, " ...");
  });
  return Str(out, "}");
}

}  // namespace

bool AttrEquals(const AttrValue& a, const AttrValue& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        const T& y = std::get<T>(b);
        if constexpr (std::is_same_v<T, Tensor>) {
          return TensorEquals(x, y);
        } else if constexpr (std::is_same_v<T, float>) {
          return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
        } else {
          return x == y;
        }
      },
      a);
}

size_t AttrHash(const AttrValue& a) {
  return std::visit(
      [&](const auto& x) -> size_t {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Tensor>) {
          if (!x.defined()) return 0;
          return absl::HashOf(x.dtype(), x.shape(),
                              std::string_view(static_cast<const char*>(x.raw_data()),
                                               std::min<size_t>(x.byte_size(), 256)));
        } else if constexpr (std::is_same_v<T, float>) {
          return absl::HashOf(a.index(), std::bit_cast<uint32_t>(x));
        } else {
          return absl::HashOf(a.index(), x);
        }
      },
      a);
}

std::string AttrToString(const AttrValue& a) {
  return std::visit(
      [&](const auto& x) -> std::string {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Tensor>) {
          return TensorToString(x);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return Str("\"", absl::CHexEscape(x), "\"");
        } else if constexpr (std::is_same_v<T, DType>) {
          return std::string(Name(x));
        } else if constexpr (std::is_same_v<T, Shape>) {
          return Str("shape", x.ToString());
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          return Str("[", absl::StrJoin(x, ", "), "]");
        } else if constexpr (std::is_same_v<T, std::vector<DType>>) {
          return Str(
              "types[",
              absl::StrJoin(x, ", ", [](std::string* out, DType d) { AppendTo(out, Name(d)); }),
              "]");
        } else {
          std::string out;
          AppendNumber(&out, x);
          return out;
        }
      },
      a);
}

void Attrs::Set(std::string_view name, AttrValue value) {
  auto it = std::lower_bound(items_.begin(), items_.end(), name,
                             [](const auto& item, std::string_view n) { return item.first < n; });
  if (it != items_.end() && it->first == name) {
    it->second = std::move(value);
  } else {
    items_.emplace(it, std::string(name), std::move(value));
  }
}

const AttrValue* Attrs::Find(std::string_view name) const {
  for (const auto& [n, value] : items_) {
    if (n == name) return &value;
  }
  return nullptr;
}

bool operator==(const Attrs& a, const Attrs& b) {
  if (a.items_.size() != b.items_.size()) return false;
  for (size_t i = 0; i < a.items_.size(); ++i) {
    if (a.items_[i].first != b.items_[i].first ||
        !AttrEquals(a.items_[i].second, b.items_[i].second)) {
      return false;
    }
  }
  return true;
}

size_t Attrs::Hash() const {
  size_t h = items_.size();
  for (const auto& [name, value] : items_) h = absl::HashOf(h, name, AttrHash(value));
  return h;
}

}  // namespace duet
