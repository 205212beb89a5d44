// Element types. The numbers are those of TensorFlow's DataType, so a DType goes on the wire as it
// is.
#ifndef DUET_CORE_DTYPE_H_
#define DUET_CORE_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace duet {

// The type of a tensor's elements. kResource is the handle of a variable; it has no elements.
enum class DType : uint8_t {
  kInvalid = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kInt32 = 3,
  kUInt8 = 4,
  kInt64 = 9,
  kBool = 10,
  kResource = 20,
};
using enum DType;

// Bytes of one element; 0 for kInvalid and kResource.
constexpr size_t SizeOf(DType dtype) {
  switch (dtype) {
    case kFloat32:
    case kInt32:
      return 4;
    case kFloat64:
    case kInt64:
      return 8;
    case kUInt8:
    case kBool:
      return 1;
    default:
      return 0;
  }
}

// "float32", "int64", ...; "invalid" for a number that is not a DType.
std::string_view Name(DType dtype);

// The inverse of Name(); kInvalid if there is none.
DType DTypeFromName(std::string_view name);

constexpr bool IsFloating(DType d) { return d == kFloat32 || d == kFloat64; }
constexpr bool IsInteger(DType d) { return d == kInt32 || d == kInt64 || d == kUInt8; }
constexpr bool IsNumeric(DType d) { return IsFloating(d) || IsInteger(d); }

// A set of element types, for the types an op accepts.
class DTypeSet {
 public:
  constexpr DTypeSet() = default;
  template <class... D>
  constexpr explicit DTypeSet(D... d) : bits_(((uint32_t{1} << static_cast<int>(d)) | ...)) {}
  constexpr bool Contains(DType d) const { return (bits_ >> static_cast<int>(d)) & 1u; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr DTypeSet operator|(DTypeSet o) const {
    DTypeSet r;
    r.bits_ = bits_ | o.bits_;
    return r;
  }

 private:
  uint32_t bits_ = 0;
};
inline constexpr DTypeSet kFloatingTypes{kFloat32, kFloat64};
inline constexpr DTypeSet kNumericTypes{kFloat32, kFloat64, kInt32, kInt64, kUInt8};
inline constexpr DTypeSet kIndexTypes{kInt32, kInt64};
inline constexpr DTypeSet kAllTypes{kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool};

// The DType of a C++ type; kInvalid where there is none.
template <class T>
inline constexpr DType kDTypeOf = std::is_same_v<T, float>     ? kFloat32
                                  : std::is_same_v<T, double>  ? kFloat64
                                  : std::is_same_v<T, int32_t> ? kInt32
                                  : std::is_same_v<T, uint8_t> ? kUInt8
                                  : std::is_same_v<T, int64_t> ? kInt64
                                  : std::is_same_v<T, long long>  // NOLINT: the other 64-bit type
                                      ? kInt64
                                      : std::is_same_v<T, bool> ? kBool : kInvalid;

// Calls f(T{}) with the C++ type of `dtype`; returns false, without a call, where there is none.
template <class F>
bool VisitDType(DType dtype, F&& f) {
  switch (dtype) {
    case kFloat32:
      return f(float{}), true;
    case kFloat64:
      return f(double{}), true;
    case kInt32:
      return f(int32_t{}), true;
    case kUInt8:
      return f(uint8_t{}), true;
    case kInt64:
      return f(int64_t{}), true;
    case kBool:
      return f(bool{}), true;
    default:
      return false;
  }
}

}  // namespace duet

#endif  // DUET_CORE_DTYPE_H_
