#ifndef DUET_CORE_PHILOX_H_
#define DUET_CORE_PHILOX_H_

// Random numbers as a pure function of (seed, seed2, index): Philox4x32-10, from Salmon, Moraes,
// Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
//
// There is no state to carry or to lock. An element's value does not depend on which other elements
// are made, in which order, or on how many threads, so a fill may be cut anywhere:
//
//   FillUniform(out, seed, seed2, /*first=*/0, n);   // same values as two calls for the halves

#include <cmath>
#include <cstdint>
#include <cstring>

namespace duet {

// Four words of 32 random bits.
struct PhiloxResult {
  uint32_t word[4];
};

// The block cipher itself, ten rounds: distinct counters under one key give independent blocks.
inline PhiloxResult Philox4x32(uint32_t key_low, uint32_t key_high, PhiloxResult counter) {
  uint32_t c0 = counter.word[0], c1 = counter.word[1];
  uint32_t c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key_low;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key_high;
    c3 = static_cast<uint32_t>(p0);
    key_low += 0x9E3779B9;   // golden ratio
    key_high += 0xBB67AE85;  // sqrt(3) - 1
  }
  return {{c0, c1, c2, c3}};
}

// Block `index` of the stream (seed, seed2). As in TensorFlow the seed is the key, the second seed
// the upper half of the counter.
inline PhiloxResult PhiloxBlock(uint64_t seed, uint64_t seed2, uint64_t index) {
  return Philox4x32(static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
                    {{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                      static_cast<uint32_t>(seed2), static_cast<uint32_t>(seed2 >> 32)}});
}

// A multiple of 2^-23 in [0, 1), each equally likely. The low 23 bits become the mantissa of a
// number in [1, 2), as in TensorFlow.
inline float UniformFloat(uint32_t bits) {
  const uint32_t pattern = 0x3F800000u | (bits & 0x7FFFFFu);
  float value;
  std::memcpy(&value, &pattern, sizeof(value));
  return value - 1.0f;
}

// A multiple of 2^-52 in [0, 1). The low 20 bits of `high` are the upper bits of the mantissa.
inline double UniformDouble(uint32_t high, uint32_t low) {
  const uint64_t pattern = 0x3FF0000000000000u | (uint64_t{high & 0xFFFFFu} << 32) | low;
  double value;
  std::memcpy(&value, &pattern, sizeof(value));
  return value - 1.0;
}

// An integer of [0, range): the upper word of bits * range. `range` is at least 1. Some values are
// more likely than others by at most range / 2^64 of the probability.
inline uint64_t UniformBelow(uint64_t bits, uint64_t range) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * range) >> 64);
}

// Two independent samples of the standard normal distribution from two uniform variables (Box and
// Muller, 1958), computed in double. The radius is at most sqrt(2 * 53 * ln 2), 8.57; the mass of
// the distribution beyond that is 1e-17.
//
// Within 2e-14 of the formula's exact value. The last bits are those of the C library's log, sin
// and cos, which may differ from one processor generation to another.
inline void NormalPair(uint64_t radius_bits, uint32_t angle_bits, double* first, double* second) {
  constexpr double kTwoPi = 6.283185307179586476925;
  // In (0, 1]: multiples of 2^-53, never 0.
  const double u = static_cast<double>((radius_bits >> 11) + 1) * 0x1p-53;
  const double radius = std::sqrt(-2.0 * std::log(u));
  const double angle = kTwoPi * 0x1p-32 * angle_bits;
  *first = radius * std::cos(angle);
  *second = radius * std::sin(angle);
}

namespace philox_internal {

// out[i] = element first + i, where element e is lane e % kLanes of `block(e / kLanes, lanes)`.
template <int kLanes, typename T, typename Block>
void Fill(T* out, uint64_t first, int64_t n, Block block) {
  T lanes[kLanes];
  for (int64_t i = 0; i < n;) {
    const uint64_t element = first + static_cast<uint64_t>(i);
    block(element / kLanes, lanes);
    for (uint64_t lane = element % kLanes; lane < kLanes && i < n; ++lane) out[i++] = lanes[lane];
  }
}

inline uint64_t Join(uint32_t high, uint32_t low) { return (uint64_t{high} << 32) | low; }

}  // namespace philox_internal

// Elements [first, first + n) of the endless sequence that (seed, seed2) names, uniform in [0, 1).
// A block makes four floats or two doubles.
inline void FillUniform(float* out, uint64_t seed, uint64_t seed2, uint64_t first, int64_t n) {
  philox_internal::Fill<4>(out, first, n, [&](uint64_t index, float* lanes) {
    const PhiloxResult r = PhiloxBlock(seed, seed2, index);
    for (int lane = 0; lane < 4; ++lane) lanes[lane] = UniformFloat(r.word[lane]);
  });
}

inline void FillUniform(double* out, uint64_t seed, uint64_t seed2, uint64_t first, int64_t n) {
  philox_internal::Fill<2>(out, first, n, [&](uint64_t index, double* lanes) {
    const PhiloxResult r = PhiloxBlock(seed, seed2, index);
    lanes[0] = UniformDouble(r.word[0], r.word[1]);
    lanes[1] = UniformDouble(r.word[2], r.word[3]);
  });
}

// The same for the standard normal distribution. A block makes two elements of either type; a float
// is the rounded double.
template <typename T>
void FillNormal(T* out, uint64_t seed, uint64_t seed2, uint64_t first, int64_t n) {
  philox_internal::Fill<2>(out, first, n, [&](uint64_t index, T* lanes) {
    const PhiloxResult r = PhiloxBlock(seed, seed2, index);
    double pair[2];
    NormalPair(philox_internal::Join(r.word[0], r.word[1]), r.word[2], &pair[0], &pair[1]);
    lanes[0] = static_cast<T>(pair[0]);
    lanes[1] = static_cast<T>(pair[1]);
  });
}

// The same for integers of [low, high), where low < high; T is int32_t or int64_t.
template <typename T>
void FillUniformInt(T* out, T low, T high, uint64_t seed, uint64_t seed2, uint64_t first,
                    int64_t n) {
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  philox_internal::Fill<2>(out, first, n, [&](uint64_t index, T* lanes) {
    const PhiloxResult r = PhiloxBlock(seed, seed2, index);
    for (int lane = 0; lane < 2; ++lane) {
      const uint64_t bits = philox_internal::Join(r.word[2 * lane], r.word[2 * lane + 1]);
      lanes[lane] = static_cast<T>(static_cast<uint64_t>(low) + UniformBelow(bits, range));
    }
  });
}

}  // namespace duet

#endif  // DUET_CORE_PHILOX_H_
