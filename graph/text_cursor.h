// A cursor over one line of the text form. Only files of graph/ include this.
#ifndef DUET_GRAPH_TEXT_CURSOR_H_
#define DUET_GRAPH_TEXT_CURSOR_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attrs.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace duet::graph_internal {

// What may still be taken by the constants and strings of one text.
struct TextBudget {
  int64_t constant_bytes;
  int64_t string_bytes;
};

class TextCursor {
 public:
  TextCursor(std::string_view line, int line_number) : line_(line), line_number_(line_number) {}

  // True, and past it, if the next thing is `c` (after spaces).
  bool Accept(char c);
  // True, and past it, if the next word is `word`.
  bool AcceptWord(std::string_view word);
  absl::Status Expect(char c);
  // True at the end of the line or at a comment.
  bool AtEnd();
  char Peek();  // the next character after spaces; 0 at the end

  // [A-Za-z0-9.][A-Za-z0-9_.\-/>]*; `what` is for the error: "a node's name".
  absl::StatusOr<std::string_view> NodeName(std::string_view what);
  // [A-Za-z_][A-Za-z0-9_]*
  absl::StatusOr<std::string_view> Identifier(std::string_view what);
  absl::StatusOr<int64_t> Integer(std::string_view what);
  // The text of a number: digits, sign, point, exponent, nan, inf.
  absl::StatusOr<std::string_view> Number(std::string_view what);
  absl::StatusOr<std::string> String(std::string_view what, TextBudget* budget);
  absl::StatusOr<Shape> ParseShape();
  absl::StatusOr<DType> ParseDType();
  absl::StatusOr<AttrValue> ParseAttrValue(TextBudget* budget);

  // "line 3, column 14: <message>" for the next character.
  absl::Status ErrorHere(std::string_view message);
  // "line 3, column 14: found ..., expected <what>".
  absl::Status Expected(std::string_view what);
  // The same for an earlier place, as position() gave it.
  absl::Status ErrorAt(size_t position, std::string_view message) const;
  size_t position();  // after spaces

 private:
  void SkipSpace();
  absl::StatusOr<Tensor> ParseTensor(DType dtype, TextBudget* budget);

  std::string_view line_;
  int line_number_;
  size_t at_ = 0;
};

}  // namespace duet::graph_internal

#endif  // DUET_GRAPH_TEXT_CURSOR_H_
