// Text building for std::string_view. Debian's Abseil is built with a string_view of its own, which
// does not convert from the standard one; these two do the conversion.
#ifndef DUET_CORE_STRINGS_H_
#define DUET_CORE_STRINGS_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace duet {

inline absl::string_view ToAbsl(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}
inline std::string_view FromAbsl(absl::string_view s) {
  return std::string_view(s.data(), s.size());
}

namespace strings_internal {
template <class T>
decltype(auto) Piece(const T& t) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(t);
  } else {
    return (t);
  }
}
}  // namespace strings_internal

// absl::StrCat and absl::StrAppend that also take std::string_view.
template <class... T>
std::string Str(const T&... parts) {
  return absl::StrCat(strings_internal::Piece(parts)...);
}
template <class... T>
void AppendTo(std::string* out, const T&... parts) {
  absl::StrAppend(out, strings_internal::Piece(parts)...);
}

}  // namespace duet

#endif  // DUET_CORE_STRINGS_H_
