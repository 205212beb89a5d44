// Graphs that `duet compare` knows by name.
#ifndef DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_
#define DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_

#include <string>
#include <vector>

#include "graph/graph.h"

namespace duet::tool {

struct MadeGraph {
  Graph graph;
  std::vector<std::string> fetches;  // what it is for
};
struct ExampleGraph {
  const char* name;
  const char* doc;
  MadeGraph (*make)();
};
const std::vector<ExampleGraph>& ExampleGraphs();

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_EXAMPLE_GRAPHS_H_
