// Printing of tensors, as NumPy prints arrays.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/strings.h"
#include "core/tensor.h"

namespace duet {
namespace {

constexpr int64_t kSummarizeOver =
    1000;  // elements; larger tensors show the edges of each dimension
constexpr int64_t kEdge = 3;

// The shortest decimal that reads back as the same value, with a point: "1.", "0.5", "1e+10".
template <class T>
std::string NumberText(T v) {
  if constexpr (std::is_same_v<T, bool>) {
    return v ? "True" : "False";
  } else if constexpr (std::is_integral_v<T>) {
    return Str(static_cast<int64_t>(v));
  } else {
    if (std::isnan(v)) return "nan";
    if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
    char buffer[64];
    const double size = std::fabs(static_cast<double>(v));
    const bool scientific = size != 0 && (size < 1e-4 || size >= 1e8);
    const auto end =
        std::to_chars(buffer, buffer + sizeof(buffer), v,
                      scientific ? std::chars_format::scientific : std::chars_format::fixed)
            .ptr;
    std::string text(buffer, end);
    if (!scientific && text.find('.') == std::string::npos) text += '.';
    return text;
  }
}

// Text of every element that is shown, right-aligned to the widest.
class Printer {
 public:
  Printer(const Shape& shape, std::function<std::string(int64_t)> element)
      : shape_(shape),
        element_(std::move(element)),
        summarize_(shape.num_elements() > kSummarizeOver) {
    if (shape_.num_elements() > 0) Measure(0, 0);
  }
  std::string Print() {
    if (shape_.rank() == 0) return element_(0);
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
  void Measure(int d, int64_t offset) {
    if (d == shape_.rank()) {
      width_ = std::max(width_, element_(offset).size());
      return;
    }
    const int64_t stride = Stride(d);
    Walk(d, [&](int64_t i) {
      if (i >= 0) Measure(d + 1, offset + i * stride);
    });
  }
  void Emit(int d, int64_t offset, std::string* out) {
    if (d == shape_.rank()) {
      const std::string text = element_(offset);
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
  std::function<std::string(int64_t)> element_;
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
    out = Printer(shape(), [data](int64_t i) { return NumberText(data[i]); }).Print();
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
