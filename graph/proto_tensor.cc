// Constants and shapes on the wire.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/strings.h"
#include "graph/proto_convert.h"
#include "proto/tensor.pb.h"
#include "proto/tensor_shape.pb.h"
#include "proto/types.pb.h"

namespace duet::graph_internal {
namespace {

// Counts the values in every list but the one that `dtype` uses; a file that fills another is
// wrong.
int OtherValues(const wire::TensorProto& p, DType dtype) {
  const bool is_int = dtype == kInt32 || dtype == kUInt8;
  return (dtype == kFloat32 ? 0 : p.float_val_size()) +
         (dtype == kFloat64 ? 0 : p.double_val_size()) + (is_int ? 0 : p.int_val_size()) +
         (dtype == kInt64 ? 0 : p.int64_val_size()) + (dtype == kBool ? 0 : p.bool_val_size()) +
         p.string_val_size() + p.scomplex_val_size() + p.dcomplex_val_size() + p.half_val_size() +
         p.uint32_val_size() + p.uint64_val_size() + p.resource_handle_val_size() +
         p.variant_val_size();
}

// The values of a list; the last one repeats, none means zeros.
template <class T, class List>
absl::Status FillFromList(const List& list, Tensor* t) {
  const int64_t n = t->num_elements();
  if (list.size() > n) {
    return absl::InvalidArgumentError(Str("a constant of shape ", t->shape().ToString(), " has ",
                                          list.size(), " values, expected at most ", n));
  }
  T* data = static_cast<T*>(t->mutable_raw_data());
  for (int i = 0; i < list.size(); ++i) {
    const auto value = list.Get(i);
    if constexpr (std::is_same_v<T, uint8_t>) {
      if (value < 0 || value > 255) {
        return absl::InvalidArgumentError(
            Str("a constant of uint8 has the value ", value, ", which it cannot hold"));
      }
    }
    data[i] = static_cast<T>(value);
  }
  const T last = list.size() == 0 ? T{} : data[list.size() - 1];
  std::fill(data + list.size(), data + n, last);
  return absl::OkStatus();
}

absl::Status FillFromContent(const std::string& content, Tensor* t) {
  if (content.size() != t->byte_size()) {
    return absl::InvalidArgumentError(Str("a constant ", DescribeType(t->dtype(), t->shape()),
                                          " has ", content.size(), " bytes of content, expected ",
                                          t->byte_size()));
  }
  std::memcpy(t->mutable_raw_data(), content.data(), content.size());
  if (t->dtype() == kBool) {
    // Any byte but 0 is true; a bool in memory is 0 or 1.
    auto* bytes = static_cast<unsigned char*>(t->mutable_raw_data());
    for (size_t i = 0; i < content.size(); ++i) bytes[i] = bytes[i] != 0;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DType> DTypeFromWire(int number) {
  for (DType d : {kFloat32, kFloat64, kInt32, kUInt8, kInt64, kBool, kResource}) {
    if (static_cast<int>(d) == number) return d;
  }
  if (number == 0) return absl::InvalidArgumentError("a dtype is missing (DT_INVALID)");
  const std::string name = wire::DataType_IsValid(number)
                               ? wire::DataType_Name(static_cast<wire::DataType>(number))
                               : Str("number ", number);
  return absl::UnimplementedError(
      Str("dtype ", name,
          " is not supported; supported are float32, float64, int32, int64, uint8 and bool"));
}

void ShapeToProto(const Shape& shape, wire::TensorShapeProto* proto) {
  for (int64_t d : shape.dims()) proto->add_dim()->set_size(d);
}

absl::StatusOr<Shape> ShapeFromProto(const wire::TensorShapeProto& proto) {
  if (proto.unknown_rank()) {
    return absl::InvalidArgumentError(
        "a shape has an unknown rank, and Duet needs the number of dimensions; write the graph "
        "with a shape that gives it, with -1 for each size that is not known");
  }
  if (proto.dim_size() > kMaxRank) {
    return absl::InvalidArgumentError(
        Str("a shape of rank ", proto.dim_size(), " is over the largest rank, ", kMaxRank));
  }
  Shape shape;
  for (const auto& dim : proto.dim()) shape.AddDim(dim.size());
  DUET_RETURN_IF_ERROR(shape.Validate(/*allow_unknown=*/true));
  return shape;
}

void TensorToProto(const Tensor& t, wire::TensorProto* proto) {
  proto->set_dtype(static_cast<wire::DataType>(t.dtype()));
  ShapeToProto(t.shape(), proto->mutable_tensor_shape());
  // Bytes keep every bit, NaN payloads included, in both forms of the file.
  if (t.byte_size() > 0) {
    proto->set_tensor_content(static_cast<const char*>(t.raw_data()), t.byte_size());
  }
}

absl::StatusOr<Tensor> TensorFromProto(const wire::TensorProto& proto, int64_t* byte_budget) {
  DUET_ASSIGN_OR_RETURN(const DType dtype, DTypeFromWire(proto.dtype()));
  if (SizeOf(dtype) == 0) {
    return absl::InvalidArgumentError(Str("a constant cannot be ", Name(dtype)));
  }
  DUET_ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
  if (!shape.IsFullyDefined()) {
    return absl::InvalidArgumentError(
        Str("a constant has the shape ", shape.ToString(), ", with an unknown size"));
  }
  const int64_t bytes = shape.num_elements() * static_cast<int64_t>(SizeOf(dtype));
  if (bytes > *byte_budget) {
    return absl::ResourceExhaustedError(
        Str("a constant ", DescribeType(dtype, shape), " of ", bytes,
            " bytes takes the graph's constants over the limit, which is the smaller of "
            "ImportOptions::max_constant_bytes and 1000 times the file's size"));
  }
  *byte_budget -= bytes;
  if (OtherValues(proto, dtype) > 0) {
    return absl::InvalidArgumentError(
        Str("a constant of ", Name(dtype), " has values in the list of another dtype"));
  }
  const int own_values = proto.float_val_size() + proto.double_val_size() + proto.int_val_size() +
                         proto.int64_val_size() + proto.bool_val_size();
  if (!proto.tensor_content().empty() && own_values > 0) {
    return absl::InvalidArgumentError("a constant has both tensor_content and a list of values");
  }
  Tensor t = Tensor::Allocate(dtype, shape);
  absl::Status status;
  if (!proto.tensor_content().empty()) {
    status = FillFromContent(proto.tensor_content(), &t);
  } else if (dtype == kFloat32) {
    status = FillFromList<float>(proto.float_val(), &t);
  } else if (dtype == kFloat64) {
    status = FillFromList<double>(proto.double_val(), &t);
  } else if (dtype == kInt32) {
    status = FillFromList<int32_t>(proto.int_val(), &t);
  } else if (dtype == kUInt8) {
    status = FillFromList<uint8_t>(proto.int_val(), &t);
  } else if (dtype == kInt64) {
    status = FillFromList<int64_t>(proto.int64_val(), &t);
  } else {
    status = FillFromList<bool>(proto.bool_val(), &t);
  }
  if (!status.ok()) return status;
  return t;
}

}  // namespace duet::graph_internal
