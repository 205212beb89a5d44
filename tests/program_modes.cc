#include "tests/program_modes.h"

#include <cstring>
#include <set>

#include "compiler/pass.h"
#include "core/strings.h"
#include "runtime/session.h"
#include "tests/op_cases.h"

namespace duet::testing {
namespace {

using Results = absl::StatusOr<std::vector<Tensor>>;
using NamedFeeds = std::vector<std::pair<int32_t, Tensor>>;

const std::vector<std::string>& PassNames() {
  static const auto* names = [] {
    std::set<std::string> unique;
    for (const compiler::Pass& pass : compiler::Pipeline()) unique.insert(pass.name);
    return new std::vector<std::string>(unique.begin(), unique.end());
  }();
  return *names;
}

// The same error. One that shows before the sizes are known names them as question marks; it must
// still be the same op at the same line.
bool SameError(const absl::Status& a, const absl::Status& b) {
  if (a == b) return true;
  if (a.ok() || b.ok() || a.code() != b.code()) return false;
  const absl::string_view x = a.message(), y = b.message();
  constexpr int kFieldsBeforeText = 3;  // file, line, op
  size_t at = 0;
  for (int colon = 0; colon < kFieldsBeforeText; ++at) {
    if (at >= x.size() || at >= y.size() || x[at] != y[at]) return false;
    colon += x[at] == ':';
  }
  return y.find('?') != absl::string_view::npos;
}

Tensor Copy(const Tensor& t) {
  Tensor copy = Tensor::Allocate(t.dtype(), t.shape());
  if (t.byte_size() > 0) std::memcpy(copy.mutable_raw_data(), t.raw_data(), t.byte_size());
  return copy;
}

class Comparison {
 public:
  explicit Comparison(const Program& p) : program_(p) {}

  void Check(const std::string& mode, const Results& eager, const Results& found) {
    if (!eager.ok() || !found.ok()) {
      if (!SameError(eager.status(), found.status())) {
        differences_.push_back(
            Str(mode, ": ", found.status().ToString(), "; eager: ", eager.status().ToString()));
      }
      return;
    }
    for (size_t i = 0; i < eager->size(); ++i) {
      std::string why;
      if (i < found->size() && SameBits((*eager)[i], (*found)[i], &why)) continue;
      differences_.push_back(Str(mode, ": eager and this differ in ",
                                 program_.graph.OutputName(program_.fetches[i]), ", ", why));
    }
  }

  // Runs the program's fetches in `graph`, which has the program's names.
  Results Run(Session& session, const NamedFeeds& feeds) {
    Session::Feeds named;
    for (const auto& [node, t] : feeds) named.emplace_back(program_.graph.node(node).name, t);
    std::vector<TensorRef> fetches;
    for (const NodeOutput& f : program_.fetches) fetches.emplace_back(program_.graph.OutputName(f));
    return session.Run(named, fetches);
  }

  void CheckSession(const std::string& mode, const Graph& graph, const Results& eager, int threads,
                    std::vector<std::string> disabled) {
    SessionOptions options;
    options.num_threads = threads;
    options.disabled_passes = std::move(disabled);
    Session session(graph, options);
    Check(mode, eager, Run(session, program_.feeds));
    // Once more: the plan is there, its memory has been used.
    Check(Str(mode, ", run again"), eager, Run(session, program_.feeds));
  }

  void Note(std::string difference) { differences_.push_back(std::move(difference)); }
  std::vector<std::string> Take() { return std::move(differences_); }

 private:
  const Program& program_;
  std::vector<std::string> differences_;
};

void CheckReloaded(const Program& p, const Results& eager, int threads, Comparison* all) {
  const auto bytes = SerializeGraph(p.graph);
  if (!bytes.ok()) return all->Note(Str("writing protobuf: ", bytes.status().ToString()));
  const auto reloaded = ParseGraph(*bytes);
  if (!reloaded.ok()) {
    return all->Note(Str("reading protobuf: ", reloaded.status().ToString()));
  }
  if (!SameGraph(*reloaded, p.graph)) all->Note("protobuf: the graph read back is another one");
  all->CheckSession("reloaded from protobuf", *reloaded, eager, threads, {});

  const std::string text = p.graph.ToText();
  const auto parsed = Graph::FromText(text);
  if (!parsed.ok()) return all->Note(Str("reading text: ", parsed.status().ToString()));
  if (parsed->ToText() != text) all->Note("text: printing the graph read back gives another text");
  if (!SameGraph(*parsed, p.graph)) all->Note("text: the graph read back is another one");
  all->CheckSession("reloaded from text", *parsed, eager, 3 - threads, {});
}

// One session, two batch sizes, and the first one again.
void CheckOtherBatch(const Program& p, const Results& eager, Comparison* all) {
  SessionOptions options;
  options.num_threads = 2;
  Session session(p.graph, options);
  all->Check("first batch size", eager, all->Run(session, p.feeds));
  const Results other = RunEagerly(p, p.other_feeds);
  const Results found = all->Run(session, p.other_feeds);
  // The program may refuse these sizes. Which node is reached first is not promised, nor that one
  // is run whose elements decide nothing (ones of its shape, say). A refused node that is fetched
  // is compared with the first batch size.
  if (other.ok()) all->Check("second batch size", other, found);
  all->Check("first batch size again", eager, all->Run(session, p.feeds));
}

}  // namespace

std::vector<std::string> FindDisagreements(const Program& p, uint64_t choice) {
  Comparison all(p);
  std::vector<Tensor> before;
  for (const auto& [node, t] : p.feeds) before.push_back(Copy(t));
  const Results eager = RunEagerly(p, p.feeds);
  const std::vector<std::string>& passes = PassNames();
  const int threads = 1 + static_cast<int>(choice % 2);
  all.CheckSession("session, 1 thread", p.graph, eager, 1, {});
  all.CheckSession("session, 2 threads", p.graph, eager, 2, {});
  const std::string& one = passes[choice / 2 % passes.size()];
  all.CheckSession(Str("session without ", one), p.graph, eager, threads, {one});
  all.CheckSession("session without fusion", p.graph, eager, 3 - threads, {"fusion"});
  all.CheckSession("session without passes", p.graph, eager, threads, passes);
  CheckReloaded(p, eager, threads, &all);
  if (!p.other_feeds.empty()) CheckOtherBatch(p, eager, &all);
  for (size_t i = 0; i < before.size(); ++i) {
    std::string why;
    if (!SameBits(before[i], p.feeds[i].second, &why)) all.Note(Str("a fed tensor changed: ", why));
  }
  return all.Take();
}

}  // namespace duet::testing
