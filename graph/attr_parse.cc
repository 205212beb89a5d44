// The values in the text form: numbers, strings, types, shapes and tensors.
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "core/strings.h"
#include "graph/text.h"
#include "graph/text_cursor.h"

namespace duet {
namespace graph_internal {
namespace {

bool IsNameChar(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-' || c == '/' || c == '>';
}
bool IsWordChar(char c) { return absl::ascii_isalnum(c) || c == '_'; }
bool IsNumberChar(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '+' || c == '-'; }

// True if all of `text` is a number that T holds. Reals are rounded; integers are read exactly.
template <class T>
bool ParseNumber(std::string_view text, T* out) {
  if constexpr (std::is_same_v<T, bool>) {
    *out = text == "true";
    return text == "true" || text == "false";
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (text == "nan" || text == "-nan") {
        *out = std::copysign(std::numeric_limits<T>::quiet_NaN(), text[0] == '-' ? T{-1} : T{1});
        return true;
      }
    }
    const auto result = std::from_chars(text.data(), text.data() + text.size(), *out);
    return result.ec == std::errc() && result.ptr == text.data() + text.size();
  }
}

}  // namespace

void TextCursor::SkipSpace() {
  while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t' || line_[at_] == '\r')) {
    ++at_;
  }
}

size_t TextCursor::position() {
  SkipSpace();
  return at_;
}

char TextCursor::Peek() {
  SkipSpace();
  return at_ < line_.size() ? line_[at_] : '\0';
}

bool TextCursor::AtEnd() {
  SkipSpace();
  return at_ == line_.size() || line_[at_] == '#';
}

bool TextCursor::Accept(char c) {
  SkipSpace();
  if (at_ == line_.size() || line_[at_] != c) return false;
  ++at_;
  return true;
}

bool TextCursor::AcceptWord(std::string_view word) {
  SkipSpace();
  if (line_.substr(at_, word.size()) != word) return false;
  const size_t end = at_ + word.size();
  if (end < line_.size() && IsWordChar(line_[end])) return false;
  at_ = end;
  return true;
}

absl::Status TextCursor::ErrorAt(size_t position, std::string_view message) const {
  return absl::InvalidArgumentError(
      Str("line ", line_number_, ", column ", position + 1, ": ", message));
}

absl::Status TextCursor::ErrorHere(std::string_view message) {
  SkipSpace();
  return ErrorAt(at_, message);
}

absl::Status TextCursor::Expected(std::string_view what) {
  constexpr size_t kShown = 20;
  SkipSpace();
  if (at_ == line_.size()) return ErrorAt(at_, Str("found the end of the line, expected ", what));
  size_t end = at_ + 1;
  if (IsNameChar(line_[at_])) {
    while (end < line_.size() && end < at_ + kShown && IsNameChar(line_[end])) ++end;
  }
  const std::string found = absl::CHexEscape(ToAbsl(line_.substr(at_, end - at_)));
  return ErrorAt(at_, Str("found \"", found, "\", expected ", what));
}

absl::Status TextCursor::Expect(char c) {
  if (Accept(c)) return absl::OkStatus();
  return Expected(Str("'", std::string(1, c), "'"));
}

absl::StatusOr<std::string_view> TextCursor::NodeName(std::string_view what) {
  SkipSpace();
  size_t end = at_;
  while (end < line_.size() && IsNameChar(line_[end])) ++end;
  if (end == at_ || !(absl::ascii_isalnum(line_[at_]) || line_[at_] == '.')) return Expected(what);
  const std::string_view name = line_.substr(at_, end - at_);
  at_ = end;
  return name;
}

absl::StatusOr<std::string_view> TextCursor::Identifier(std::string_view what) {
  SkipSpace();
  size_t end = at_;
  while (end < line_.size() && IsWordChar(line_[end])) ++end;
  if (end == at_ || absl::ascii_isdigit(line_[at_])) return Expected(what);
  const std::string_view word = line_.substr(at_, end - at_);
  at_ = end;
  return word;
}

absl::StatusOr<std::string_view> TextCursor::Number(std::string_view what) {
  SkipSpace();
  size_t end = at_;
  // "..." after a number is not part of it; a point is, once.
  while (end < line_.size() && IsNumberChar(line_[end]) && line_.substr(end, 3) != "...") ++end;
  if (end == at_) return Expected(what);
  const std::string_view text = line_.substr(at_, end - at_);
  at_ = end;
  return text;
}

absl::StatusOr<int64_t> TextCursor::Integer(std::string_view what) {
  const size_t start = position();
  DUET_ASSIGN_OR_RETURN(const std::string_view text, Number(what));
  int64_t value = 0;
  if (!ParseNumber(text, &value)) {
    return ErrorAt(start, Str("found \"", text, "\", expected ", what));
  }
  return value;
}

absl::StatusOr<std::string> TextCursor::String(std::string_view what, TextBudget* budget) {
  const size_t start = position();
  if (!Accept('"')) return Expected(what);
  size_t end = at_;
  while (end < line_.size() && line_[end] != '"') end += line_[end] == '\\' ? 2 : 1;
  if (end >= line_.size()) return ErrorAt(start, "this string has no closing '\"'");
  budget->string_bytes -= static_cast<int64_t>(end - at_);
  if (budget->string_bytes < 0) {
    return absl::ResourceExhaustedError("the strings of the graph are over max_string_bytes");
  }
  std::string value, problem;
  if (!absl::CUnescape(ToAbsl(line_.substr(at_, end - at_)), &value, &problem)) {
    return ErrorAt(start, Str("this string has a bad escape: ", problem));
  }
  at_ = end + 1;
  return value;
}

absl::StatusOr<Shape> TextCursor::ParseShape() {
  const size_t start = position();
  DUET_RETURN_IF_ERROR(Expect('['));
  Shape shape;
  if (!Accept(']')) {
    do {
      if (shape.rank() > kMaxRank) break;
      if (Accept('?')) {
        shape.AddDim(-1);
        continue;
      }
      const size_t at = position();
      DUET_ASSIGN_OR_RETURN(const int64_t size, Integer("a size or '?'"));
      if (size < 0) return ErrorAt(at, "a size is negative; an unknown one is written '?'");
      shape.AddDim(size);
    } while (Accept(','));
    if (absl::Status s = shape.Validate(/*allow_unknown=*/true); !s.ok()) {
      return ErrorAt(start, FromAbsl(s.message()));
    }
    DUET_RETURN_IF_ERROR(Expect(']'));
  }
  return shape;
}

absl::StatusOr<DType> TextCursor::ParseDType() {
  const size_t start = position();
  DUET_ASSIGN_OR_RETURN(const std::string_view word, Identifier("a dtype"));
  const DType dtype = DTypeFromName(word);
  if (dtype == kInvalid) return ErrorAt(start, Str("found \"", word, "\", expected a dtype"));
  return dtype;
}

absl::StatusOr<Tensor> TextCursor::ParseTensor(DType dtype, TextBudget* budget) {
  const size_t start = position();
  DUET_ASSIGN_OR_RETURN(const Shape shape, ParseShape());
  if (!shape.IsFullyDefined()) {
    return ErrorAt(start, "the shape of a constant has an unknown size");
  }
  if (SizeOf(dtype) == 0) return ErrorAt(start, Str("a constant cannot be ", Name(dtype)));
  const int64_t n = shape.num_elements();
  const int64_t bytes = n * static_cast<int64_t>(SizeOf(dtype));
  if (bytes > budget->constant_bytes) {
    return absl::ResourceExhaustedError(
        Str("line ", line_number_, ", column ", start + 1, ": a constant of ", bytes,
            " bytes takes the graph's constants over the limit; raise "
            "ImportOptions::max_constant_bytes"));
  }
  budget->constant_bytes -= bytes;
  DUET_RETURN_IF_ERROR(Expect('{'));
  Tensor t = Tensor::Allocate(dtype, shape);
  absl::Status status;
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = static_cast<T*>(t.mutable_raw_data());
    int64_t i = 0;
    while (n > 0 && Peek() != '}') {
      const size_t at = position();
      if (i == n) {
        status = ErrorAt(at, Str("found more than the ", n, " elements of ", shape.ToString()));
        return;
      }
      auto text = Number("a number");
      if (!text.ok()) {
        status = text.status();
        return;
      }
      if (!ParseNumber(*text, &data[i])) {
        status = ErrorAt(at, Str("found \"", *text, "\", expected a value of ", Name(dtype)));
        return;
      }
      ++i;
      if (i == 1 && AcceptWord("...")) {
        for (; i < n; ++i) data[i] = data[0];
        break;
      }
      if (!Accept(',')) break;
    }
    if (i < n) {
      status = ErrorHere(Str("found ", i, " elements, expected ", n, " for ", shape.ToString()));
    }
  });
  DUET_RETURN_IF_ERROR(status);
  DUET_RETURN_IF_ERROR(Expect('}'));
  return t;
}

absl::StatusOr<AttrValue> TextCursor::ParseAttrValue(TextBudget* budget) {
  constexpr std::string_view kWhat = "a value";
  const char c = Peek();
  if (c == '"') {
    DUET_ASSIGN_OR_RETURN(std::string s, String(kWhat, budget));
    return AttrValue(std::move(s));
  }
  if (Accept('[')) {
    std::vector<int64_t> items;
    if (!Accept(']')) {
      do {
        DUET_ASSIGN_OR_RETURN(const int64_t v, Integer("an integer"));
        items.push_back(v);
      } while (Accept(','));
      DUET_RETURN_IF_ERROR(Expect(']'));
    }
    return AttrValue(std::move(items));
  }
  if (AcceptWord("true")) return AttrValue(true);
  if (AcceptWord("false")) return AttrValue(false);
  if (AcceptWord("undefined")) return AttrValue(Tensor());
  if (AcceptWord("shape")) {
    DUET_ASSIGN_OR_RETURN(Shape shape, ParseShape());
    return AttrValue(std::move(shape));
  }
  if (AcceptWord("types")) {
    DUET_RETURN_IF_ERROR(Expect('['));
    std::vector<DType> items;
    if (!Accept(']')) {
      do {
        DUET_ASSIGN_OR_RETURN(const DType d, ParseDType());
        items.push_back(d);
      } while (Accept(','));
      DUET_RETURN_IF_ERROR(Expect(']'));
    }
    return AttrValue(std::move(items));
  }
  const std::string_view rest = line_.substr(at_);
  const bool is_word_number = rest.substr(0, 3) == "nan" || rest.substr(0, 3) == "inf";
  if (absl::ascii_isalpha(c) && !is_word_number) {
    if (AcceptWord("invalid")) return AttrValue(kInvalid);
    DUET_ASSIGN_OR_RETURN(const DType dtype, ParseDType());
    if (Peek() != '[') return AttrValue(dtype);
    DUET_ASSIGN_OR_RETURN(Tensor t, ParseTensor(dtype, budget));
    return AttrValue(std::move(t));
  }
  const size_t start = position();
  DUET_ASSIGN_OR_RETURN(const std::string_view text, Number(kWhat));
  const bool is_real = text.find_first_of(".einf") != std::string_view::npos;
  int64_t integer = 0;
  float real = 0;
  if (!is_real && ParseNumber(text, &integer)) return AttrValue(integer);
  if (is_real && ParseNumber(text, &real)) return AttrValue(real);
  return ErrorAt(start, Str("found \"", text, "\", expected a value"));
}

}  // namespace graph_internal

absl::StatusOr<AttrValue> ParseAttr(std::string_view text, const ImportOptions& options) {
  graph_internal::TextBudget budget{options.max_constant_bytes, options.max_string_bytes};
  graph_internal::TextCursor cursor(text, 1);
  DUET_ASSIGN_OR_RETURN(AttrValue value, cursor.ParseAttrValue(&budget));
  if (!cursor.AtEnd()) return cursor.Expected("the end");
  return value;
}

}  // namespace duet
