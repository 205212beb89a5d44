// What the handles of one graph share. Only files of graph/ include this.
#ifndef DUET_GRAPH_GRAPH_DATA_H_
#define DUET_GRAPH_GRAPH_DATA_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/synchronization/mutex.h"
#include "core/tensor.h"
#include "graph/graph.h"

namespace duet::graph_internal {

// A node and what is known of its outputs' values.
struct NodeSlot {
  Node node;
  // Empty, or one per output (undefined where the value is not known).
  absl::InlinedVector<Tensor, 1> static_values;
};

// Nodes live in chunks that never move and are published by an atomic count. So the first size()
// nodes may be read by any number of threads while one thread appends; two threads must not append
// at once.
class NodeList {
 public:
  int32_t size() const { return size_.load(std::memory_order_acquire); }
  const NodeSlot& operator[](int32_t i) const {
    const Place place = PlaceOf(i);
    return chunks_[place.chunk][place.offset];
  }
  void Append(NodeSlot slot) {
    const int32_t i = size_.load(std::memory_order_relaxed);
    const Place place = PlaceOf(i);
    if (place.offset == 0) {
      chunks_[place.chunk] = std::make_unique<NodeSlot[]>(kFirstChunk << place.chunk);
    }
    chunks_[place.chunk][place.offset] = std::move(slot);
    size_.store(i + 1, std::memory_order_release);
  }

 private:
  // Chunk c holds 16 * 2^c nodes.
  static constexpr uint32_t kFirstChunk = 16;
  struct Place {
    uint32_t chunk, offset;
  };
  static Place PlaceOf(int32_t i) {
    const uint32_t blocks = static_cast<uint32_t>(i) / kFirstChunk + 1;
    const uint32_t chunk = static_cast<uint32_t>(std::bit_width(blocks)) - 1;
    return {chunk, static_cast<uint32_t>(i) - kFirstChunk * ((1u << chunk) - 1)};
  }

  std::array<std::unique_ptr<NodeSlot[]>, 28> chunks_;
  std::atomic<int32_t> size_{0};
};

struct GraphData : public SymbolSource {
  NodeList nodes;

  std::string TensorName(int32_t node, int32_t output) const override;
  const Tensor* StaticValue(int32_t node, int32_t output) const override;
  Location SourceLocation(int32_t node) const override;

  // The position of `name`, or -1.
  int32_t Find(std::string_view name) const;
  // `base` if it is free, else the first free of base_1, base_2, ...; amortised O(1).
  std::string UniqueName(std::string_view base);
  void Append(NodeSlot slot);

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, int32_t> by_name_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int32_t> next_suffix_ ABSL_GUARDED_BY(mutex_);
};

// The types of a node's outputs by the op's shape rule, after filling in attribute defaults and
// checking that inputs are there.
absl::StatusOr<std::vector<ValueSpec>> InferNode(const Graph& graph, GraphBuilder::NodeArgs* args);

// TensorFlow's rule for node names: [A-Za-z0-9.][A-Za-z0-9_.\-/]*, further such names joined by
// '>'.
bool IsValidNodeName(std::string_view name);
// `name` with every character that the rule refuses replaced by '_'; "x" put before a first one
// that it refuses.
std::string MakeValidNodeName(std::string_view name);

}  // namespace duet::graph_internal

#endif  // DUET_GRAPH_GRAPH_DATA_H_
