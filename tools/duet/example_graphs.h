// Graphs that `duet compare` knows by name.
#ifndef DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_
#define DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_

#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace duet::tool {

struct ExampleGraph {
  const char* name;
  const char* doc;
  Graph (*make)();
};
const std::vector<ExampleGraph>& ExampleGraphs();

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_
