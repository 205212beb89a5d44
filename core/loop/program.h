// Loop programs: the target-neutral meaning of elementwise ops, reductions and views.
//
// A Body says what is computed at one point of an iteration space: a list of scalar instructions in
// single-assignment form. An op of an elementwise family contributes instructions; the fuser joins
// the instructions of many ops into one Body. A Program is a Body plus what a kernel is specialised
// on, the class of each operand's innermost stride; sizes and all other strides are arguments at
// run time. From a Program come the CPU kernel (compiler/llvm), later the GPU kernel, and the
// interpreter.
//
// The iteration space of a Program is `rows` x `inner` (the driver walks any further outer
// dimensions):
//   kNone   no reduction; every instruction has a value at every (row, inner).
//   kInner  reductions run over `inner`; a reduction has one value per row. Instructions that use
//   it
//           are evaluated again at every (row, inner) if they also use per-point values, so a body
//           like softmax is: max over inner; sum over inner of exp(x - max); exp(x - max) / sum.
//   kRows   reductions run over `rows`; a reduction has one value per inner position.
// Level: an instruction is kPoint if it depends on a load that varies along the reduced loop, or
// (kInner) on kIndexInner, without a reduction in between; a kReduce and what depends only on
// reductions, constants and what does not vary along the reduced loop is kReduced. In kNone bodies
// all are kPoint.
//
// Order of a reduction (contract 1: it depends on sizes alone). kInner: 16 lanes; the element at
// inner position i goes to lane i % 16, in order of i, within blocks of 4096 positions; each block
// starts from the identity and its 16 lanes are added to 16 running lanes; at the end the lanes are
// combined as lane l with lane l + 8, then + 4, + 2, + 1. kRows: blocks of 256 rows, in order
// within a block starting from the identity, block results combined in order with a running value.
//
// NaN. A computed output that is NaN is stored as the quiet NaN 0x7fc00000 (0x7ff8000000000000),
// whichever NaN the operations gave; an output that is a load keeps its bits.
#ifndef DUET_CORE_LOOP_PROGRAM_H_
#define DUET_CORE_LOOP_PROGRAM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/dtype.h"

namespace duet::loop {

inline constexpr int kLanes = 16;
inline constexpr int64_t kInnerBlock = 4096;
inline constexpr int64_t kRowBlock = 256;

enum class Code : uint8_t {
  // Leaves.
  kLoad,        // operand `a` of the body at this point
  kConst,       // immediate: bits of `imm`, in the instruction's dtype
  kIndexInner,  // the position along `inner`, an int64
  // Unary on floating types, unless said otherwise.
  kNeg,   // also integers (wraps)
  kAbs,   // also integers
  kSign,  // also integers; NaN for NaN, zero for zeros
  kFloor,
  kSqrt,
  kRsqrt,
  kExp,
  kLog,
  kLog1p,
  kTanh,
  kSigmoid,
  kNot,    // bool
  kIsNan,  // bool from floating
  kCast,   // to the instruction's dtype; see CastRule
  // Binary; both operands and the result have one dtype, comparisons give bool.
  kAdd,  // integers wrap; also Sub, Mul
  kSub,
  kMul,
  kDiv,       // floating: IEEE; integers: toward zero, x/0 gives 0 (refused before), min/-1 wraps
  kFloorDiv,  // floating: floor(x / y); integers: toward minus infinity
  kFloorMod,  // sign of the divisor
  kPow,       // floating; integers: by squaring, wraps, negative exponents refused before
  kMax,       // NaN if either is NaN
  kMin,
  kLess,
  kLessEqual,
  kEqual,
  kNotEqual,
  kAnd,  // bool
  kOr,   // bool
  // Ternary.
  kSelect,  // a ? b : c
  // Reduction of `a` over the reduced loop, by `reduce`.
  kReduce,
};

enum class Reduce : uint8_t { kSum, kProd, kMax, kMin };

// A scalar of any dtype, by bits.
struct Scalar {
  static Scalar Of(DType dtype, double value);  // converted as kCast converts from float64
  static Scalar OfInt(DType dtype, int64_t value);
  uint64_t bits = 0;  // the element's bytes, little-endian, zero-extended
};

// One instruction. a, b, c are positions of earlier instructions (for kLoad, a is the operand).
struct Instr {
  Code code;
  DType dtype;  // of the result
  int32_t a = -1, b = -1, c = -1;
  uint64_t imm = 0;  // kConst: Scalar::bits
  Reduce reduce = Reduce::kSum;
  friend bool operator==(const Instr&, const Instr&) = default;
};

enum class Axis : uint8_t { kNone, kInner, kRows };

// An output: the value of an instruction. In a body with reductions an output of level kReduced is
// stored once per row (kInner) or once per inner position (kRows); one of level kPoint at every
// point (kInner only).
struct Output {
  int32_t value;
  friend bool operator==(const Output&, const Output&) = default;
};

struct Body {
  Axis axis = Axis::kNone;
  std::vector<DType> operands;
  std::vector<Instr> instrs;
  std::vector<Output> outputs;
  // For each operand, whether it varies along the reduced loop (kInner: inner; kRows: rows). Bodies
  // without reductions leave it empty.
  std::vector<bool> varies;
  friend bool operator==(const Body&, const Body&) = default;
};

// Appends instructions to a Body; equal instructions are given back, not repeated (hash-consing).
class Builder {
 public:
  explicit Builder(Body* body) : body_(body) {}
  using Value = int32_t;

  Value Load(int operand);
  Value Const(DType dtype, double value);
  Value ConstInt(DType dtype, int64_t value);
  Value IndexInner();
  Value Unary(Code code, Value a);  // result has a's dtype (kIsNan: bool)
  Value Cast(DType to, Value a);    // `a` itself if it has that dtype
  Value Binary(Code code, Value a, Value b);
  Value Select(Value condition, Value t, Value f);
  Value Reduction(Reduce reduce, Value a);
  Value Raw(const Instr& instr);
  DType dtype(Value v) const { return body_->instrs[v].dtype; }

 private:
  Body* body_;
};

// The class of an operand's innermost stride.
enum class Stride : uint8_t { kZero, kUnit, kAny };

// What a kernel is compiled from. Two calls with equal programs share a kernel.
struct Program {
  Body body;
  std::vector<Stride> inner;  // per operand; outputs are always contiguous along inner
  friend bool operator==(const Program&, const Program&) = default;
};

// One line per instruction; the text is canonical, so it serves as the key of a kernel:
//   program inner(f32 unit, f32 zero) -> (3)
//   0: f32 load 0 ...
std::string ToString(const Program& program);

// True for each instruction of level kReduced (see the file comment).
std::vector<bool> ReducedLevel(const Body& body);

// InvalidArgument naming the instruction if a dtype, an operand or a level is not legal.
absl::Status Verify(const Program& program);

std::string_view CodeName(Code code);  // "add"
std::string_view ReduceName(Reduce reduce);
// The value that a reduction starts from.
Scalar ReduceIdentity(Reduce reduce, DType dtype);

// ---- Running ------------------------------------------------------------------------------------

// What a kernel receives. Pointers are to the element at (row 0, inner 0); strides are in bytes.
// Operands come first, then outputs. An output stored per point has row stride given here and is
// contiguous along inner; one stored per row (kInner) uses its row stride; one stored per inner
// position (kRows) is contiguous.
struct KernelArgs {
  int64_t rows;
  int64_t inner;
  int64_t index_base;  // value of kIndexInner at inner 0
  void* const* pointers;
  const int64_t* row_strides;
  const int64_t* inner_strides;  // read only for operands of class kAny
};
using KernelFn = void (*)(const KernelArgs*);

// The slow, obvious interpreter that tests compare with: plain loops, libm in a wider type, sums in
// a wider type. Same arguments as a kernel.
void Interpret(const Program& program, const KernelArgs& args);

}  // namespace duet::loop

#endif  // DUET_CORE_LOOP_PROGRAM_H_
