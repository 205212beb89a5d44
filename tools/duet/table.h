// Tables and quantities as people read them.
#ifndef DUET_TOOLS_DUET_TABLE_H_
#define DUET_TOOLS_DUET_TABLE_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace duet::tool {

// Rows of text in columns as wide as their longest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // `right`: the columns, counted from 0, that align right (numbers).
  void Print(std::ostream& out, const std::vector<int>& right = {}) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string Bytes(int64_t bytes);                // "512 B", "1.5 MiB"
std::string Seconds(double seconds);             // "1.25 us", "3.4 ms"
std::string Count(int64_t n, const char* what);  // "1 node", "2 nodes"

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_TABLE_H_
