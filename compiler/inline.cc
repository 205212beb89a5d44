#include "compiler/inline.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "compiler/rewrite.h"
#include "core/dispatch.h"
#include "core/ops/defs.h"
#include "core/strings.h"
#include "graph/recorder.h"

namespace duet::compiler {
namespace {

// Composites are made of simpler ops; deeper nesting is a definition that calls itself.
constexpr int kMaxDepth = 64;

// A recorded body: a graph whose first nodes stand for the composite's inputs.
struct RecordedBody {
  Graph graph;
  std::vector<NodeOutput> outputs;
};

// What `node`, with inputs in `graph`, is made of. Inputs whose values are known are constants in
// the body, so that axes and sizes are known there too.
absl::StatusOr<RecordedBody> RecordBody(const Node& node, const Graph& graph,
                                        absl::Span<const NodeOutput> node_inputs) {
  RecordedBody body;
  Recorder recorder(body.graph);
  std::vector<Tensor> inputs;
  for (size_t k = 0; k < node_inputs.size(); ++k) {
    const NodeOutput in = node_inputs[k];
    const ValueSpec& spec = graph.spec(in);
    GraphBuilder builder(body.graph);
    const Tensor* value = graph.StaticValue(in);
    const bool known = value != nullptr && value->dtype() != kResource;
    auto leaf = builder.Add(
        {.op = known ? &ops::ConstOp() : &ops::PlaceholderOp(),
         .name = Str("input", k),
         .attrs = known ? ConstantAttrs(*value) : PlaceholderAttrs(spec.dtype, spec.shape),
         .location = node.location});
    if (!leaf.ok()) return leaf.status();
    inputs.push_back(recorder.Symbol({*leaf, 0}));
  }
  std::vector<Tensor> outputs(node.outputs.size());
  try {
    const ListenerPause pause;
    const LocationScope location(node.location);
    const InterpreterScope scope(&recorder);
    node.op->composite(node.attrs, inputs, absl::MakeSpan(outputs));
    for (const Tensor& t : outputs) {
      body.outputs.push_back(recorder.Capture(t, node.op->public_name, node.location));
    }
  } catch (const Error& error) {
    return error.status();
  }
  return body;
}

// True if the body knows every size of its results that the op knows.
bool KnowsSizesOf(const RecordedBody& body, const Node& node) {
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    const Shape& found = body.graph.spec(body.outputs[k]).shape;
    const Shape& known = node.outputs[k].shape;
    if (found.rank() != known.rank()) return false;
    for (int d = 0; d < known.rank(); ++d) {
      if (known.dim(d) >= 0 && found.dim(d) < 0) return false;
    }
  }
  return true;
}

class Inliner {
 public:
  Inliner(Rewriter* out) : out_(*out) {}

  // Adds the nodes of `node`'s body; gives the outputs that stand for the node's. Gives none, and
  // adds nothing, if the body knows less of its results' shapes than the op itself says: what
  // comes after might not stand that.
  absl::StatusOr<std::vector<NodeOutput>> Expand(const Node& node, const std::string& name,
                                                 const std::vector<NodeOutput>& inputs,
                                                 const std::vector<int32_t>& controls, int depth) {
    if (depth > kMaxDepth) {
      return absl::InternalError(Str("composite op ", node.op->name, " is made of itself"));
    }
    DUET_ASSIGN_OR_RETURN(const RecordedBody body, RecordBody(node, out_.graph(), inputs));
    if (!KnowsSizesOf(body, node)) return std::vector<NodeOutput>();
    std::vector<std::vector<NodeOutput>> places;  // body node -> outputs in the new graph
    for (int32_t i = 0; i < body.graph.size(); ++i) {
      if (static_cast<size_t>(i) < inputs.size()) {
        places.push_back({inputs[static_cast<size_t>(i)]});
        continue;
      }
      const Node& inner = body.graph.node(i);
      std::vector<NodeOutput> inner_inputs;
      for (const NodeOutput& in : inner.inputs) {
        inner_inputs.push_back(places[static_cast<size_t>(in.node)][static_cast<size_t>(in.index)]);
      }
      std::vector<int32_t> inner_controls = controls;
      for (int32_t c : inner.control_inputs) {
        for (const NodeOutput& o : places[static_cast<size_t>(c)]) inner_controls.push_back(o.node);
      }
      const std::string inner_name = Str(name, "/", inner.name);
      if (inner.op->family == Family::kComposite) {
        DUET_ASSIGN_OR_RETURN(std::vector<NodeOutput> outputs,
                              Expand(inner, inner_name, inner_inputs, inner_controls, depth + 1));
        if (!outputs.empty()) {
          places.push_back(std::move(outputs));
          continue;
        }
      }
      DUET_ASSIGN_OR_RETURN(const int32_t added, out_.Add({.op = inner.op,
                                                           .name = inner_name,
                                                           .attrs = inner.attrs,
                                                           .inputs = std::move(inner_inputs),
                                                           .control_inputs = inner_controls,
                                                           .location = node.location,
                                                           .device = node.device,
                                                           .resource = inner.resource}));
      std::vector<NodeOutput>& place = places.emplace_back();
      for (size_t k = 0; k < inner.outputs.size(); ++k) {
        place.push_back({added, static_cast<int32_t>(k)});
      }
    }
    std::vector<NodeOutput> outputs;
    for (const NodeOutput& o : body.outputs) {
      outputs.push_back(places[static_cast<size_t>(o.node)][static_cast<size_t>(o.index)]);
    }
    return outputs;
  }

 private:
  Rewriter& out_;
};

}  // namespace

absl::StatusOr<PassInput> Inline(const PassInput& input, const PassOptions& /*options*/) {
  const Graph& graph = input.graph;
  const Ends ends(input);
  const auto inlined = [&](int32_t i) {
    return graph.node(i).op->family == Family::kComposite && !ends.fed[static_cast<size_t>(i)];
  };
  int32_t first = 0;
  while (first < graph.size() && !inlined(first)) ++first;
  if (first == graph.size()) return input;
  Rewriter out(input);
  Inliner inliner(&out);
  for (int32_t i = 0; i < graph.size(); ++i) {
    if (!inlined(i)) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
      continue;
    }
    const Node& node = graph.node(i);
    DUET_ASSIGN_OR_RETURN(
        std::vector<NodeOutput> outputs,
        inliner.Expand(node, node.name, out.MapInputs(node), out.MapControls(node), /*depth=*/0));
    if (outputs.empty()) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
    } else {
      out.Forward(i, std::move(outputs));
    }
  }
  return std::move(out).Finish();
}

}  // namespace duet::compiler
