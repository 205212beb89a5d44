#include "io/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/strings.h"

namespace duet {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kVersionEnd = 8;  // magic, major, minor
constexpr size_t kAlignment = 64;  // of the elements in the file
// NumPy refuses longer ones too; the longest that a tensor of kMaxRank needs is under 6,000.
constexpr size_t kMaxHeader = 10'000;

struct Descr {
  DType dtype;
  std::string_view text;
};
constexpr Descr kDescrs[] = {{kFloat32, "<f4"}, {kFloat64, "<f8"}, {kInt32, "<i4"},
                             {kInt64, "<i8"},   {kUInt8, "|u1"},   {kBool, "|b1"}};

struct Header {
  DType dtype = kInvalid;
  bool fortran_order = false;
  Shape shape;
};

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(Str("damaged .npy header: ", what));
}

// Quotes what a file holds: printable, and not long.
std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 40 ? "...'" : "'");
}

absl::StatusOr<DType> DTypeOf(std::string_view descr) {
  for (const Descr& known : kDescrs) {
    if (descr == known.text) return known.dtype;
    // One byte has no order, and '=' is the order of the machine that wrote the file.
    if (descr.size() == 3 && descr.substr(1) == known.text.substr(1) &&
        (SizeOf(known.dtype) == 1 || descr[0] == '=')) {
      return known.dtype;
    }
  }
  if (descr.starts_with('>')) {
    return absl::UnimplementedError(
        Str("big-endian elements ", Quoted(descr),
            "; save the array with a.astype(a.dtype.newbyteorder('<'))"));
  }
  return absl::UnimplementedError(
      Str("elements of type ", Quoted(descr),
          "; read are <f4 <f8 <i4 <i8 |u1 |b1: convert the array with astype"));
}

// A parser of the one form of Python dictionary that the format allows. Not recursive.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  absl::StatusOr<Header> Parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    if (!Take('{')) return Damaged("no '{' at its start");
    while (!Take('}')) {
      const std::optional<std::string_view> key = TakeString();
      if (!key || !Take(':')) return Damaged("no 'key': where one is expected");
      bool* seen = *key == "descr"           ? &has_descr
                   : *key == "fortran_order" ? &has_order
                   : *key == "shape"         ? &has_shape
                                             : nullptr;
      if (seen == nullptr) return Damaged(Str("unknown key ", Quoted(*key)));
      if (*seen) return Damaged(Str("key ", Quoted(*key), " twice"));
      *seen = true;
      DUET_RETURN_IF_ERROR(seen == &has_descr   ? ParseDescr(&header)
                           : seen == &has_order ? ParseOrder(&header)
                                                : ParseShape(&header));
      if (!Take(',') && Peek() != '}') return Damaged("no ',' or '}' after a value");
    }
    SkipSpace();
    if (!rest_.empty()) return Damaged("text after its '}'");
    if (!has_descr || !has_order || !has_shape) {
      return Damaged("descr, fortran_order or shape is missing");
    }
    return header;
  }

 private:
  absl::Status ParseDescr(Header* header) {
    if (Peek() == '[') {
      return absl::UnimplementedError("a structured array; save one field: a['field']");
    }
    const std::optional<std::string_view> descr = TakeString();
    if (!descr) return Damaged("descr is not a string");
    DUET_ASSIGN_OR_RETURN(header->dtype, DTypeOf(*descr));
    return absl::OkStatus();
  }

  absl::Status ParseOrder(Header* header) {
    header->fortran_order = TakeWord("True");
    if (header->fortran_order || TakeWord("False")) return absl::OkStatus();
    return Damaged("fortran_order is not True or False");
  }

  absl::Status ParseShape(Header* header) {
    if (!Take('(')) return Damaged("shape is not a tuple");
    bool comma = true;
    while (!Take(')')) {
      if (!comma) return Damaged("no ',' between the sizes of shape");
      DUET_ASSIGN_OR_RETURN(const int64_t size, TakeSize());
      if (header->shape.rank() == kMaxRank) {
        return Damaged(Str("more than ", kMaxRank, " dimensions"));
      }
      header->shape.AddDim(size);
      comma = Take(',');
    }
    // "(3)" is a number in Python, and "(3,)" the tuple.
    if (header->shape.rank() == 1 && !comma) return Damaged("shape is not a tuple");
    if (!header->shape.Validate().ok()) return Damaged("sizes of shape overflow");
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> TakeSize() {
    SkipSpace();
    int64_t size = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (__builtin_mul_overflow(size, int64_t{10}, &size) ||
          __builtin_add_overflow(size, int64_t{rest_[digits] - '0'}, &size)) {
        return Damaged("a size of shape overflows");
      }
    }
    if (digits == 0) return Damaged("a size of shape is not a number of 0 or more");
    rest_.remove_prefix(digits);
    if (rest_.starts_with('L')) rest_.remove_prefix(1);  // Python 2 wrote long integers so
    return size;
  }

  // A string without escapes: neither keys nor descr need any.
  std::optional<std::string_view> TakeString() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool TakeWord(std::string_view word) {
    SkipSpace();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // The next character that is not space; '\0' at the end.
  char Peek() {
    SkipSpace();
    return rest_.empty() ? '\0' : rest_[0];
  }
  void SkipSpace() {
    const size_t n = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(n == std::string_view::npos ? rest_.size() : n);
  }

  std::string_view rest_;
};

// Reads up to the first element. `at` is how many bytes that took.
absl::StatusOr<Header> ReadHeader(InputFile& file, int64_t* at) {
  unsigned char start[kVersionEnd + 4];
  *at = kVersionEnd + 2;
  if (file.size() < *at) return absl::DataLossError("not a .npy file: too short");
  DUET_RETURN_IF_ERROR(file.Read(start, kVersionEnd + 2));
  if (std::memcmp(start, kMagic.data(), kMagic.size()) != 0) {
    return absl::DataLossError("not a .npy file: it does not begin with \\x93NUMPY");
  }
  const int major = start[6], minor = start[7];
  if (major < 1 || major > 3 || minor != 0) {
    return absl::UnimplementedError(
        Str(".npy version ", major, ".", minor, "; read are 1.0 to 3.0"));
  }
  size_t length = start[8] | size_t{start[9]} << 8;
  if (major > 1) {
    *at += 2;
    if (file.size() < *at) return Damaged("the file ends in it");
    DUET_RETURN_IF_ERROR(file.Read(start + kVersionEnd + 2, 2));
    length |= size_t{start[10]} << 16 | size_t{start[11]} << 24;
  }
  if (length > kMaxHeader) {
    return Damaged(Str(length, " bytes long; at most ", kMaxHeader, " are read"));
  }
  if (file.size() - *at < static_cast<int64_t>(length)) return Damaged("the file ends in it");
  std::string text(length, '\0');
  DUET_RETURN_IF_ERROR(file.Read(text.data(), length));
  *at += static_cast<int64_t>(length);
  return HeaderParser(text).Parse();
}

// `from` holds the elements with the first index running fastest; `to` gets them row-major.
void CopyFromFortranOrder(const Shape& shape, size_t element, const char* from, char* to) {
  const int rank = shape.rank();
  Dims strides(rank), index(rank, 0);  // strides in bytes of `from`
  int64_t stride = static_cast<int64_t>(element);
  for (int d = 0; d < rank; ++d) {
    strides[d] = stride;
    stride *= shape.dim(d);
  }
  int64_t offset = 0;
  for (int64_t i = shape.num_elements(); i > 0; --i) {
    std::memcpy(to, from + offset, element);
    to += element;
    for (int d = rank - 1; d >= 0; --d) {
      offset += strides[d];
      if (++index[d] < shape.dim(d)) break;
      offset -= strides[d] * shape.dim(d);
      index[d] = 0;
    }
  }
}

absl::StatusOr<Tensor> ReadArray(InputFile& file) {
  int64_t at = 0;
  DUET_ASSIGN_OR_RETURN(const Header header, ReadHeader(file, &at));
  const size_t element = SizeOf(header.dtype);
  // Cannot overflow: the shape was validated.
  const int64_t bytes = header.shape.num_elements() * static_cast<int64_t>(element);
  if (file.size() - at != bytes) {
    return absl::DataLossError(Str("damaged .npy file: ", DescribeType(header.dtype, header.shape),
                                   " takes ", bytes, " bytes, and ", file.size() - at,
                                   " follow the header"));
  }
  Tensor tensor = Tensor::Allocate(header.dtype, header.shape);
  if (bytes == 0) return tensor;
  char* to = static_cast<char*>(tensor.mutable_raw_data());
  if (header.fortran_order && header.shape.rank() > 1) {
    Tensor raw = Tensor::Allocate(header.dtype, header.shape);
    char* from = static_cast<char*>(raw.mutable_raw_data());
    DUET_RETURN_IF_ERROR(file.Read(from, static_cast<size_t>(bytes)));
    CopyFromFortranOrder(header.shape, element, from, to);
  } else {
    DUET_RETURN_IF_ERROR(file.Read(to, static_cast<size_t>(bytes)));
  }
  if (header.dtype == kBool) {
    // A bool of C++ is 0 or 1, and a file may hold anything.
    std::replace_if(
        to, to + bytes, [](char c) { return c != 0; }, char{1});
  }
  return tensor;
}

absl::Status Named(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), ToAbsl(Str(path, ": ", status.message())));
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  DUET_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  try {
    absl::StatusOr<Tensor> tensor = ReadArray(file);
    if (!tensor.ok()) return Named(tensor.status(), path);
    return tensor;
  } catch (const Error& error) {  // the memory limit
    return Named(error.status(), path);
  }
}

absl::Status WriteNpy(const Tensor& tensor, const std::string& path) {
  if (!tensor.defined() || tensor.is_symbolic() || SizeOf(tensor.dtype()) == 0) {
    return absl::InvalidArgumentError(
        Str(path, ": ", !tensor.defined() ? "an undefined tensor" : tensor.ToString(),
            " has no elements to write"));
  }
  std::string_view descr;
  for (const Descr& known : kDescrs) {
    if (known.dtype == tensor.dtype()) descr = known.text;
  }
  std::string header = Str("{'descr': '", descr, "', 'fortran_order': False, 'shape': (");
  for (int d = 0; d < tensor.rank(); ++d) {
    AppendTo(&header, d > 0 ? " " : "", tensor.shape().dim(d), ",");
  }
  if (tensor.rank() > 1) header.pop_back();
  header += "), }";
  const size_t used = kVersionEnd + 2 + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header += '\n';
  // The longest header, of kMaxRank sizes, is far below the 65,535 bytes of version 1.0.
  std::string start(kMagic);
  start += '\x01';
  start += '\x00';
  start += static_cast<char>(header.size() & 0xff);
  start += static_cast<char>(header.size() >> 8);
  return WriteFile(
      path, {start, header,
             std::string_view(static_cast<const char*>(tensor.raw_data()), tensor.byte_size())});
}

}  // namespace duet
