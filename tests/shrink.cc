#include "tests/shrink.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/ops/defs.h"
#include "core/strings.h"

namespace duet::testing {
namespace {

// A change of a program; the parts that are set are applied together.
struct Edit {
  std::optional<std::vector<NodeOutput>> fetches;
  int32_t cut = -1;       // this node becomes a placeholder that is fed `value`
  Tensor value;           //
  int32_t bypassed = -1;  // uses of this node's output 0 become uses of its input `input`
  size_t input = 0;
  int64_t from_size = -1, to_size = -1;  // this size of placeholders and constants becomes that one
};

// The leading block of `t` in which each size `from` is `to` (smaller).
Tensor Cropped(const Tensor& t, int64_t from, int64_t to) {
  Shape shape = t.shape();
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape.dim(d) == from) shape.set_dim(d, to);
  }
  Tensor out = Tensor::Allocate(t.dtype(), shape);
  const Dims in_strides = ContiguousStrides(t.shape()), strides = ContiguousStrides(shape);
  const size_t size = SizeOf(t.dtype());
  for (int64_t i = 0; i < out.num_elements(); ++i) {
    int64_t at = 0;
    for (int d = 0; d < shape.rank(); ++d) {
      at += i / strides[static_cast<size_t>(d)] % shape.dim(d) * in_strides[static_cast<size_t>(d)];
    }
    std::copy_n(static_cast<const char*>(t.raw_data()) + at * size, size,
                static_cast<char*>(out.mutable_raw_data()) + i * size);
  }
  return out;
}

// The same for the values of a host constant: sizes, which must follow.
Tensor Renumbered(const Tensor& t, int64_t from, int64_t to) {
  Tensor out = Tensor::Allocate(t.dtype(), t.shape());
  VisitDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < t.num_elements(); ++i) {
      const T v = static_cast<const T*>(t.raw_data())[i];
      static_cast<T*>(out.mutable_raw_data())[i] = v == static_cast<T>(from) ? T(to) : v;
    }
  });
  return out;
}

// True for constants that some node takes as a host value.
std::vector<bool> HostConstants(const Graph& graph) {
  std::vector<bool> host(static_cast<size_t>(graph.size()), false);
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    size_t at = 0;
    for (const ArgDef& arg : node.op->inputs) {
      const size_t count =
          arg.number_attr.empty() ? 1 : node.inputs.size() - (node.op->inputs.size() - 1);
      for (size_t k = 0; k < count && at < node.inputs.size(); ++k, ++at) {
        if (arg.host) host[static_cast<size_t>(node.inputs[at].node)] = true;
      }
    }
  }
  return host;
}

// The program with the edit, less the nodes that its fetches do not need; nothing if a shape rule
// refuses it.
std::optional<Program> Apply(const Program& p, const Edit& edit) {
  Program out;
  out.fetches = edit.fetches.value_or(p.fetches);
  // What is needed, seen through the edit.
  const auto source = [&](NodeOutput o) {
    while (o.node == edit.bypassed) o = p.graph.node(o.node).inputs[edit.input];
    return o;
  };
  std::vector<bool> needed(static_cast<size_t>(p.graph.size()), false);
  for (NodeOutput& f : out.fetches) {
    f = source(f);
    needed[static_cast<size_t>(f.node)] = true;
  }
  for (int32_t i = p.graph.size() - 1; i >= 0; --i) {
    if (!needed[static_cast<size_t>(i)] || i == edit.cut) continue;
    for (const NodeOutput& in : p.graph.node(i).inputs) {
      needed[static_cast<size_t>(source(in).node)] = true;
    }
  }
  const std::vector<bool> host = HostConstants(p.graph);
  const bool resize = edit.from_size >= 0;
  GraphBuilder builder;
  std::vector<int32_t> place(static_cast<size_t>(p.graph.size()), -1);
  for (int32_t i = 0; i < p.graph.size(); ++i) {
    if (!needed[static_cast<size_t>(i)]) continue;
    const Node& node = p.graph.node(i);
    GraphBuilder::NodeArgs args{.op = node.op, .name = node.name, .attrs = node.attrs};
    args.location = node.location;
    if (i == edit.cut) {
      args.op = &ops::PlaceholderOp();
      args.attrs = Attrs{{"dtype", edit.value.dtype()}, {"shape", node.outputs[0].shape}};
    } else if (node.op->family == Family::kPlaceholder && resize) {
      Shape shape = node.outputs[0].shape;
      for (int d = 0; d < shape.rank(); ++d) {
        if (shape.dim(d) == edit.from_size) shape.set_dim(d, edit.to_size);
      }
      args.attrs.Set("shape", shape);
    } else if (node.op->family == Family::kConstant && resize) {
      const Tensor& t = node.attrs.Get<Tensor>("value");
      args.attrs.Set("value", host[static_cast<size_t>(i)]
                                  ? Renumbered(t, edit.from_size, edit.to_size)
                                  : Cropped(t, edit.from_size, edit.to_size));
    } else {
      for (const NodeOutput& in : node.inputs) {
        const NodeOutput from = source(in);
        args.inputs.push_back({place[static_cast<size_t>(from.node)], from.index});
      }
    }
    const auto added = builder.Add(std::move(args));
    if (!added.ok()) return std::nullopt;
    place[static_cast<size_t>(i)] = *added;
  }
  for (NodeOutput& f : out.fetches) f.node = place[static_cast<size_t>(f.node)];
  const auto feeds = [&](const std::vector<std::pair<int32_t, Tensor>>& old) {
    std::vector<std::pair<int32_t, Tensor>> fed;
    for (const auto& [node, t] : old) {
      if (place[static_cast<size_t>(node)] < 0) continue;
      fed.emplace_back(place[static_cast<size_t>(node)],
                       resize ? Cropped(t, edit.from_size, edit.to_size) : t);
    }
    if (edit.cut >= 0 && !old.empty()) {
      fed.emplace_back(place[static_cast<size_t>(edit.cut)], edit.value);
    }
    return fed;
  };
  out.feeds = feeds(p.feeds);
  if (edit.cut >= 0 && p.feeds.empty()) {
    out.feeds.emplace_back(place[static_cast<size_t>(edit.cut)], edit.value);
  }
  // A value that was cut fits one batch size alone.
  if (edit.cut < 0) out.other_feeds = feeds(p.other_feeds);
  out.graph = builder.Build();
  return out;
}

class Shrinker {
 public:
  Shrinker(Program p, absl::FunctionRef<bool(const Program&)> fails, int tries)
      : best_(std::move(p)), fails_(fails), tries_(tries) {}

  Program Run() {
    bool smaller = true;
    while (smaller && tries_ > 0) {
      smaller = DropFetches();
      smaller |= Remove();
      smaller |= ShrinkSizes();
    }
    return std::move(best_);
  }

 private:
  bool Try(const Edit& edit) {
    if (tries_ <= 0) return false;
    std::optional<Program> candidate = Apply(best_, edit);
    if (!candidate.has_value()) return false;
    --tries_;
    if (!fails_(*candidate)) return false;
    best_ = *std::move(candidate);
    return true;
  }

  bool DropFetches() {
    bool any = false;
    for (const NodeOutput& f : std::vector<NodeOutput>(best_.fetches)) {
      if (best_.fetches.size() == 1) return any;
      Edit edit;
      edit.fetches = {f};
      if (Try(edit)) return true;
    }
    for (size_t i = best_.fetches.size(); i-- > 0 && best_.fetches.size() > 1;) {
      Edit edit;
      edit.fetches = best_.fetches;
      edit.fetches->erase(edit.fetches->begin() + static_cast<std::ptrdiff_t>(i));
      any |= Try(edit);
    }
    return any;
  }

  // Drops dead nodes, moves fetches to what fetched nodes are computed from, and replaces nodes.
  bool Remove() {
    bool any = false;
    const std::vector<bool> needed = NeededNodes(best_);
    if (std::find(needed.begin(), needed.end(), false) != needed.end()) any |= Try(Edit());
    for (size_t i = 0; i < best_.fetches.size(); ++i) {
      const std::vector<NodeOutput> inputs = best_.graph.node(best_.fetches[i].node).inputs;
      for (const NodeOutput& in : inputs) {
        Edit edit;
        edit.fetches = best_.fetches;
        (*edit.fetches)[i] = in;
        if (Try(edit)) return true;
      }
    }
    // From the end: a cut there leaves nothing of what came before.
    for (int32_t i = best_.graph.size() - 1; i >= 0; --i) {
      if (i >= best_.graph.size()) continue;  // an edit made the graph smaller
      any |= Replace(i);
    }
    return any;
  }

  bool Replace(int32_t i) {
    const Node& node = best_.graph.node(i);
    if (node.inputs.empty() || node.outputs.size() != 1) return false;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const ValueSpec& in = best_.graph.spec(node.inputs[k]);
      if (in.dtype != node.outputs[0].dtype || !(in.shape == node.outputs[0].shape)) continue;
      Edit edit;
      edit.bypassed = i;
      edit.input = k;
      if (Try(edit)) return true;
    }
    const auto values = RunNodes(best_, best_.feeds);
    if (!values.ok() || (*values)[static_cast<size_t>(i)].empty()) return false;
    Edit edit;
    edit.cut = i;
    edit.value = (*values)[static_cast<size_t>(i)][0];
    return Try(edit);
  }

  bool ShrinkSizes() {
    std::set<int64_t, std::greater<>> sizes;
    for (const auto& [node, t] : best_.feeds) {
      sizes.insert(t.shape().dims().begin(), t.shape().dims().end());
    }
    for (int i = 0; i < best_.graph.size(); ++i) {
      const Node& node = best_.graph.node(i);
      if (node.op->family != Family::kConstant) continue;
      sizes.insert(node.outputs[0].shape.dims().begin(), node.outputs[0].shape.dims().end());
    }
    bool any = false;
    for (int64_t from : sizes) {
      for (int64_t to : {int64_t{1}, int64_t{2}, from / 4, from / 2, from - 1}) {
        if (to < 1 || to >= from) continue;
        Edit edit;
        edit.from_size = from;
        edit.to_size = to;
        if (!Try(edit)) continue;
        any = true;
        break;
      }
    }
    return any;
  }

  Program best_;
  absl::FunctionRef<bool(const Program&)> fails_;
  int tries_;
};

}  // namespace

Program Shrink(Program program, absl::FunctionRef<bool(const Program&)> fails, int max_tries) {
  return Shrinker(std::move(program), fails, max_tries).Run();
}

}  // namespace duet::testing
