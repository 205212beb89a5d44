// Printing of tensors, as NumPy prints arrays.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/strings.h"
#include "core/tensor.h"

namespace duet {
namespace {

constexpr int64_t kSummarizeOver =
    1000;  // elements; larger tensors show the edges of each dimension
constexpr int64_t kEdge = 3;

constexpr int kPrecision = 8;  // digits after the point

// The shortest decimal that reads back as `v`, or kPrecision digits after the point if that is
// shorter. Always with a point, without trailing zeros: "1.", "-0.5", "1.5e-05".
template <class T>
std::string Digits(T v, std::chars_format format) {
  char shortest[400], rounded[400];
  const auto a = std::to_chars(shortest, shortest + sizeof(shortest), v, format).ptr;
  const auto b = std::to_chars(rounded, rounded + sizeof(rounded), v, format, kPrecision).ptr;
  std::string text(shortest, a);
  size_t e = text.find('e');
  size_t point = text.find('.');
  const size_t digits = point == std::string::npos ? 0 : std::min(e, text.size()) - point - 1;
  if (digits > kPrecision) text.assign(rounded, b);
  e = text.find('e');
  std::string exponent;
  if (e != std::string::npos) {
    exponent = text.substr(e);
    text.resize(e);
  }
  point = text.find('.');
  if (point == std::string::npos) {
    text += '.';
  } else {
    while (text.back() == '0') text.pop_back();
  }
  return text + exponent;
}

// How the elements of one tensor are written: one notation for all, points below each other, as
// NumPy's floatmode "maxprec".
template <class T>
class ElementFormat {
 public:
  // Called with every element that is shown, before Text().
  void Scan(T v) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(v)) return;
      finite_.push_back(v);
      const double size = std::fabs(static_cast<double>(v));
      if (size != 0) {
        largest_ = std::max(largest_, size);
        smallest_ = std::min(smallest_, size);
      }
    }
  }
  void Finish() {
    scientific_ =
        largest_ > 0 && (largest_ >= 1e8 || smallest_ < 1e-4 || largest_ / smallest_ > 1000);
    if constexpr (std::is_floating_point_v<T>) {
      for (T v : finite_) fraction_ = std::max(fraction_, Fraction(Digits(v, Notation())).size());
    }
  }
  std::string Text(T v) const {
    if constexpr (std::is_same_v<T, bool>) {
      return v ? " True" : "False";
    } else if constexpr (std::is_integral_v<T>) {
      return Str(static_cast<int64_t>(v));
    } else {
      if (std::isnan(v)) return "nan";
      if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
      std::string text = Digits(v, Notation());
      const std::string pad(fraction_ - Fraction(text).size(), scientific_ ? '0' : ' ');
      text.insert(std::min(text.find('e'), text.size()), pad);
      return text;
    }
  }
  // A tensor of rank 0, as Python prints a number.
  static std::string Scalar(T v) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(v)) return ElementFormat().Text(v);
      const double size = std::fabs(static_cast<double>(v));
      char buffer[400];
      const auto format = size != 0 && (size < 1e-4 || size >= 1e16) ? std::chars_format::scientific
                                                                     : std::chars_format::fixed;
      std::string text(buffer, std::to_chars(buffer, buffer + sizeof(buffer), v, format).ptr);
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      return text;
    } else if constexpr (std::is_same_v<T, bool>) {
      return v ? "True" : "False";
    } else {
      return ElementFormat().Text(v);
    }
  }

 private:
  std::chars_format Notation() const {
    return scientific_ ? std::chars_format::scientific : std::chars_format::fixed;
  }
  static std::string Fraction(const std::string& text) {
    const size_t point = text.find('.');
    return text.substr(point + 1, std::min(text.find('e'), text.size()) - point - 1);
  }

  std::vector<T> finite_;
  double largest_ = 0, smallest_ = std::numeric_limits<double>::infinity();
  bool scientific_ = false;
  size_t fraction_ = 0;
};

// Writes the elements that are shown, right-aligned to the widest.
template <class T>
class Printer {
 public:
  Printer(const Shape& shape, const T* data)
      : shape_(shape), data_(data), summarize_(shape.num_elements() > kSummarizeOver) {}
  std::string Print() {
    if (shape_.rank() == 0) return ElementFormat<T>::Scalar(data_[0]);
    if (shape_.num_elements() == 0) return "[]";  // for every shape, as NumPy
    Visit(0, 0, [this](int64_t i) { format_.Scan(data_[i]); });
    format_.Finish();
    Visit(0, 0, [this](int64_t i) { width_ = std::max(width_, format_.Text(data_[i]).size()); });
    std::string out;
    Emit(0, 0, &out);
    return out;
  }

 private:
  bool Skips(int d) const { return summarize_ && shape_.dim(d) > 2 * kEdge; }
  template <class F>
  void Walk(int d, F&& visit) {
    const int64_t n = shape_.dim(d);
    for (int64_t i = 0; i < n; ++i) {
      if (Skips(d) && i == kEdge) {
        visit(-1);
        i = n - kEdge;
      }
      visit(i);
    }
  }
  int64_t Stride(int d) const {
    int64_t s = 1;
    for (int k = d + 1; k < shape_.rank(); ++k) s *= shape_.dim(k);
    return s;
  }
  template <class F>
  void Visit(int d, int64_t offset, F&& visit) {
    if (d == shape_.rank()) return visit(offset);
    const int64_t stride = Stride(d);
    Walk(d, [&](int64_t i) {
      if (i >= 0) Visit(d + 1, offset + i * stride, visit);
    });
  }
  void Emit(int d, int64_t offset, std::string* out) {
    if (d == shape_.rank()) {
      const std::string text = format_.Text(data_[offset]);
      out->append(width_ - std::min(width_, text.size()), ' ');
      out->append(text);
      return;
    }
    out->push_back('[');
    const int64_t stride = Stride(d);
    bool first = true;
    Walk(d, [&](int64_t i) {
      if (!first) {
        if (d + 1 == shape_.rank()) {
          out->push_back(' ');
        } else {
          out->append(static_cast<size_t>(shape_.rank() - 1 - d), '\n');
          out->append(static_cast<size_t>(d + 1), ' ');
        }
      }
      first = false;
      if (i < 0) {
        out->append("...");
      } else {
        Emit(d + 1, offset + i * stride, out);
      }
    });
    out->push_back(']');
  }

  const Shape& shape_;
  const T* data_;
  ElementFormat<T> format_;
  bool summarize_;
  size_t width_ = 0;
};

}  // namespace

std::string Tensor::ValueString() const {
  if (!defined()) return "undefined";
  if (is_symbolic()) return name();
  if (dtype() == kResource) return "<variable>";
  std::string out;
  VisitDType(dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(raw_data());
    out = Printer<T>(shape(), data).Print();
  });
  return out;
}

std::string Tensor::ToString() const {
  if (!defined()) return "Tensor(undefined)";
  std::string dims = "(";
  for (int i = 0; i < rank(); ++i) {
    if (i > 0) dims += ", ";
    dims += shape().dim(i) < 0 ? "?" : Str(shape().dim(i));
  }
  if (rank() == 1) dims += ",";
  dims += ")";
  const std::string value = is_symbolic() ? Str("\"", name(), "\"") : ValueString();
  return Str("Tensor(", value, ", shape=", dims, ", dtype=", Name(dtype()), ")");
}

}  // namespace duet
