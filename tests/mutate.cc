#include "tests/mutate.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <vector>

namespace duet::testing {
namespace {

size_t Below(size_t n, std::mt19937_64& random) { return n == 0 ? 0 : random() % n; }

// The words (or runs of digits) of a text: begin and size.
std::vector<std::pair<size_t, size_t>> Words(const std::string& text, bool numbers) {
  std::vector<std::pair<size_t, size_t>> words;
  const auto in_word = [&](char c) {
    const auto u = static_cast<unsigned char>(c);
    return numbers ? std::isdigit(u) != 0 : std::isalnum(u) != 0 || c == '_';
  };
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && in_word(text[end])) ++end;
    if (end > i) words.emplace_back(i, end - i);
    i = end + 1;
  }
  return words;
}

void MutateWord(std::string* s, const std::string& other, std::mt19937_64& random) {
  if (random() % 2 == 0) {
    static constexpr const char* kNumbers[] = {"-1",
                                               "0",
                                               "2147483647",
                                               "2147483648",
                                               "9223372036854775807",
                                               "-9223372036854775808",
                                               "99999999999999999999999",
                                               "4294967296",
                                               "1e400",
                                               "nan",
                                               "1099511627776"};
    const auto words = Words(*s, true);
    if (words.empty()) return;
    const auto [at, size] = words[Below(words.size(), random)];
    s->replace(at, size, kNumbers[Below(std::size(kNumbers), random)]);
  } else {
    const auto words = Words(*s, false), others = Words(other, false);
    if (words.empty() || others.empty()) return;
    const auto [at, size] = words[Below(words.size(), random)];
    const auto [from, length] = others[Below(others.size(), random)];
    s->replace(at, size, other, from, length);
  }
}

void MutateBytes(std::string* s, const std::string& other, std::mt19937_64& random) {
  const size_t at = Below(s->size(), random);
  const size_t length = 1 + Below(std::min<size_t>(s->size() - at, 40), random);
  switch (random() % 8) {
    case 0:
      (*s)[at] = static_cast<char>((*s)[at] ^ (1 << random() % 8));
      return;
    case 1:
      (*s)[at] = static_cast<char>("\x00\x01\x7f\x80\xff\x0a\x08"[random() % 7]);
      return;
    case 2:
      s->erase(at, length);
      return;
    case 3:
      s->insert(at, s->substr(Below(s->size(), random), length));
      return;
    case 4:
      if (!other.empty()) s->replace(at, length, other, Below(other.size(), random), length);
      return;
    case 5: {
      // A varint of five or ten bytes: a length or size that nothing can have.
      const bool longest = random() % 2 == 0;
      s->replace(at, 1, std::string(longest ? 9 : 4, '\xff') + (longest ? '\x01' : '\x7f'));
      return;
    }
    case 6:
      (*s)[at] = static_cast<char>((*s)[at] + (random() % 2 == 0 ? 1 : -1));
      return;
    default:
      s->resize(at);
  }
}

}  // namespace

std::string Mutate(std::string bytes, const std::string& other, bool text,
                   std::mt19937_64& random) {
  for (size_t n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
    if (text && random() % 2 == 0) {
      MutateWord(&bytes, other, random);
    } else {
      MutateBytes(&bytes, other, random);
    }
  }
  return bytes;
}

}  // namespace duet::testing
