// Between Graph and TensorFlow's GraphDef. Only files of graph/ include this; the messages are
// declared, not included, so that protobuf stays in few .cc files.
#ifndef DUET_GRAPH_PROTO_CONVERT_H_
#define DUET_GRAPH_PROTO_CONVERT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/op_def.h"
#include "graph/graph.h"

namespace duet::wire {
class GraphDef;
class TensorProto;
class TensorShapeProto;
}  // namespace duet::wire

namespace duet::graph_internal {

// Attributes equal to their default are left out; type attributes are written from the inputs'
// dtypes; where nodes were recorded goes into debug_info; a fusion group into the attribute
// "_duet_group".
void GraphToProto(const Graph& graph, wire::GraphDef* proto);

// Proves the graph well-formed, or says what is wrong and where. `file_bytes` is the size of what
// the message was read from. Nodes may be in any order; those of a sorted file keep theirs.
// Attributes whose names start with '_' are ignored.
absl::StatusOr<Graph> GraphFromProto(const wire::GraphDef& proto, int64_t file_bytes,
                                     const ImportOptions& options);

// The attribute that holds Node::group.
inline constexpr char kGroupAttr[] = "_duet_group";

// The attributes that Duet does not store, because they follow from the inputs: types such as "T",
// and "N", the length of a list. Those that nothing determines are left out.
std::vector<std::pair<std::string, AttrValue>> DerivedAttrs(const OpDef& op,
                                                            absl::Span<const DType> inputs,
                                                            absl::Span<const ValueSpec> outputs);

void ShapeToProto(const Shape& shape, wire::TensorShapeProto* proto);
// InvalidArgument for an unknown rank, which Duet does not have.
absl::StatusOr<Shape> ShapeFromProto(const wire::TensorShapeProto& proto);
// Unimplemented for a dtype that Duet does not have yet.
absl::StatusOr<DType> DTypeFromWire(int number);

void TensorToProto(const Tensor& t, wire::TensorProto* proto);
// `byte_budget` is what constants may still take; it is lowered by this one's bytes.
absl::StatusOr<Tensor> TensorFromProto(const wire::TensorProto& proto, int64_t* byte_budget);

}  // namespace duet::graph_internal

#endif  // DUET_GRAPH_PROTO_CONVERT_H_
