#include "compiler/llvm/vector_math.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace duet::compiler::llvm_backend {
namespace {

using ::llvm::Type;
using ::llvm::Value;

// Every polynomial below was computed with Sollya's fpminimax (relative error, coefficients rounded
// to the format in which they are evaluated, leading coefficients fixed where stated). The error
// given beside it is the maximum relative error of the polynomial itself over the stated interval;
// rounding errors of the evaluation come on top and are what the tests measure.

constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLog2E = 0x1.71547652b82fep0;

// exp(r) = 1 + r + r^2 P(r), |r| <= ln(2)/2.
constexpr std::array kExpF = {0x1.fffffap-2, 0x1.555492p-3, 0x1.555a26p-5, 0x1.123984p-7,
                              0x1.694cbap-10};  // 2^-28.2
constexpr std::array kExpD = {0x1p-1,
                              0x1.555555555555cp-3,
                              0x1.5555555555544p-5,
                              0x1.111111110ea04p-7,
                              0x1.6c16c16c1e5c7p-10,
                              0x1.a01a01b43f6dep-13,
                              0x1.a01a017d44944p-16,
                              0x1.71ddee81e527bp-19,
                              0x1.27e533a604239p-22,
                              0x1.af6e64c2aad65p-26,
                              0x1.1eed07e2c9e2dp-29};  // 2^-63.5

// exp(r) - 1 = r + r^2 P(r), |r| <= ln(2)/2.
constexpr std::array kExpm1F = {0x1.fffffep-2, 0x1.5554bp-3, 0x1.555716p-5, 0x1.122798p-7,
                                0x1.6b735cp-10};  // 2^-26.2
constexpr std::array kExpm1D = {0x1p-1,
                                0x1.5555555555559p-3,
                                0x1.555555555554dp-5,
                                0x1.111111110f657p-7,
                                0x1.6c16c16c1aafdp-10,
                                0x1.a01a01b0020c7p-13,
                                0x1.a01a018e0ee67p-16,
                                0x1.71ddf814349a2p-19,
                                0x1.27e5133c641dap-22,
                                0x1.af5f2250ca7dcp-26,
                                0x1.1f1a2d46b713ep-29};  // 2^-61.5

// log(1 + f) = f - f^2/2 + f^3 P(f), |f| <= 1/3.
constexpr std::array kLogF = {0x1.555506p-2,  -0x1.fffefp-3, 0x1.99d05ep-3,
                              -0x1.559de4p-3, 0x1.1ed424p-3, -0x1.f30e36p-4,
                              0x1.1e73ap-3,   -0x1.080c9ep-3};  // 2^-27.7

// log((1 + s) / (1 - s)) = 2s + s z P(z), z = s^2, |s| <= 3 - sqrt(8).
constexpr std::array kLogD = {0x1.5555555555592p-1, 0x1.999999997ff68p-2, 0x1.24924941dae8ap-2,
                              0x1.c71c521a6f892p-3, 0x1.74663b910efa9p-3, 0x1.39a20d7dc4d4fp-3,
                              0x1.2f023f0510133p-3};  // 2^-59.5

// tanh(x) = x + x z P(z), z = x^2, |x| <= 0.625.
constexpr std::array kTanhF = {-0x1.555532p-2, 0x1.110704p-3, -0x1.b838ap-5, 0x1.5211c4p-6,
                               -0x1.758facp-8};  // 2^-27.7

// log2(1 + f) = f P(f), |f| <= 1/3, in double for the power of floats.
constexpr std::array kLog2Pow = {
    0x1.71547652bc271p0,  -0x1.71547652ee514p-1, 0x1.ec709d8d68a7bp-2, -0x1.715475c3dac47p-2,
    0x1.2776e33d32cc3p-2, -0x1.ec710a330b70fp-3, 0x1.a60ad5d048cb3p-3, -0x1.71426f41f686cp-3,
    0x1.4986f77c423afp-3, -0x1.28fd1d30b7c7fp-3, 0x1.f9c31b7d56d81p-4, -0x1.c9a31c89046aap-4,
    0x1.432bee14d5db2p-3, -0x1.3460dcd8e29d8p-3};  // 2^-38.5

// 2^r = 1 + r P(r), |r| <= 1/2, in double for the power of floats.
constexpr std::array kExp2Pow = {0x1.62e430af270cbp-1,  0x1.ebfbdc3c31671p-3,
                                 0x1.c6aee88e97a4p-5,   0x1.3b2d4cf0fbd52p-7,
                                 0x1.5f3e52f138af3p-10, 0x1.41fbbc91efe2ep-13};  // 2^-28.9

// log((1 + s) / (1 - s)) = 2s + (2/3) s^3 + s^5 P(z), z = s^2, |s| <= 3 - sqrt(8), where 2/3 is
// kTwoThirdsHi + kTwoThirdsLo.
constexpr std::array kLogPowD = {
    0x1.999999999999ap-2, 0x1.249249249238ap-2, 0x1.c71c71c73ed9dp-3,
    0x1.745d173286a86p-3, 0x1.3b13b7b83fe9fp-3, 0x1.110fb3103ff46p-3,
    0x1.e23e92c6efef3p-4, 0x1.a7bb2f764c3abp-4, 0x1.d8bbc20fd99f2p-4};  // 2^-76.5
constexpr double kTwoThirdsHi = 0x1.5555555555555p-1;
constexpr double kTwoThirdsLo = 0x1.5555555555555p-55;

// A view of the builder for one floating type (scalar or vector): one letter an operation, so that
// the algorithms below read as formulas.
class Ops {
 public:
  Ops(llvm::IRBuilder<>& b, Type* type, const MathOptions& options = {}) : b_(b), type_(type) {
    is_double_ = type->getScalarType()->isDoubleTy();
    if (auto* v = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
      fills_zmm_ = options.avx512 && !is_double_ && v->getNumElements() == 16;
      int_type_ =
          llvm::FixedVectorType::get(b.getIntNTy(is_double_ ? 64 : 32), v->getNumElements());
    } else {
      int_type_ = b.getIntNTy(is_double_ ? 64 : 32);
    }
  }

  bool is_double() const { return is_double_; }
  int mantissa_bits() const { return is_double_ ? 52 : 23; }
  int bias() const { return is_double_ ? 1023 : 127; }
  Type* type() const { return type_; }

  Value* C(double c) const { return llvm::ConstantFP::get(type_, c); }
  Value* I(uint64_t c) const { return llvm::ConstantInt::get(int_type_, c); }
  Value* Inf() const { return C(std::numeric_limits<double>::infinity()); }
  Value* NegInf() const { return C(-std::numeric_limits<double>::infinity()); }
  Value* NaN() const { return llvm::ConstantFP::getNaN(type_); }

  Value* Add(Value* x, Value* y) const { return b_.CreateFAdd(x, y); }
  Value* Sub(Value* x, Value* y) const { return b_.CreateFSub(x, y); }
  Value* Mul(Value* x, Value* y) const { return b_.CreateFMul(x, y); }
  Value* Div(Value* x, Value* y) const { return b_.CreateFDiv(x, y); }
  Value* Neg(Value* x) const { return b_.CreateFNeg(x); }
  Value* Fma(Value* x, Value* y, Value* z) const {
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {type_}, {x, y, z});
  }
  Value* Sqrt(Value* x) const { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); }
  Value* Abs(Value* x) const { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  Value* CopySign(Value* x, Value* sign) const {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x, sign);
  }

  Value* Lt(Value* x, Value* y) const { return b_.CreateFCmpOLT(x, y); }
  Value* Ge(Value* x, Value* y) const { return b_.CreateFCmpOGE(x, y); }
  Value* Eq(Value* x, Value* y) const { return b_.CreateFCmpOEQ(x, y); }
  Value* Unordered(Value* x, Value* y) const { return b_.CreateFCmpUNO(x, y); }
  Value* Select(Value* c, Value* x, Value* y) const { return b_.CreateSelect(c, x, y); }
  Value* And(Value* x, Value* y) const { return b_.CreateAnd(x, y); }
  Value* Or(Value* x, Value* y) const { return b_.CreateOr(x, y); }
  Value* Not(Value* x) const { return b_.CreateNot(x); }

  // One instruction each on x86; a NaN stays a NaN.
  Value* Min(Value* x, double c) const { return Select(b_.CreateFCmpOGT(x, C(c)), C(c), x); }
  Value* Max(Value* x, double c) const { return Select(Lt(x, C(c)), C(c), x); }

  Value* Bits(Value* x) const { return b_.CreateBitCast(x, int_type_); }
  Value* Float(Value* i) const { return b_.CreateBitCast(i, type_); }

  // c[0] + c[1] x + c[2] x^2 + ...
  template <size_t n>
  Value* Poly(const std::array<double, n>& c, Value* x) const {
    Value* r = C(c[n - 1]);
    for (size_t i = n - 1; i-- > 0;) r = Fma(r, x, C(c[i]));
    return r;
  }

  // One AVX-512 register of floats, for which the operations below exist. They take the place of
  // several portable operations where the result is the same to the bit.
  bool fills_zmm() const { return fills_zmm_; }
  // x * 2^n for an integral n, rounded once.
  Value* ScaleF(Value* x, Value* n) const {
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                              {x, n, x, AllLanes(), CurrentRounding()});
  }
  // min(|x|, c); c for a NaN.
  Value* MinAbs(Value* x, double c) const {
    constexpr int kMinOfAbs = 2, kClearSign = 2 << 2;
    Value* how = b_.getInt32(kMinOfAbs | kClearSign);
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_range_ps_512, {},
                              {x, C(c), how, x, AllLanes(), CurrentRounding()});
  }
  // x < 0 ? negative : 1, also 1 for a NaN.
  Value* OneUnlessNegative(Value* x, Value* negative) const {
    // What is put in place of each class of x, four bits a class: 0 `negative`, 10 one.
    constexpr uint32_t kQuietNaN = 10, kSignalingNaN = 10, kZero = 10, kOne = 10;
    constexpr uint32_t kNegInf = 0, kPosInf = 10, kNegative = 0, kPositive = 10;
    constexpr uint32_t kTable = kQuietNaN | kSignalingNaN << 4 | kZero << 8 | kOne << 12 |
                                kNegInf << 16 | kPosInf << 20 | kNegative << 24 | kPositive << 28;
    return b_.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512_mask_fixupimm_ps_512, {},
        {negative, x, I(kTable), b_.getInt32(0), AllLanes(), CurrentRounding()});
  }

  llvm::IRBuilder<>& b() const { return b_; }
  Type* int_type() const { return int_type_; }

 private:
  Value* AllLanes() const { return b_.getInt16(0xffff); }
  Value* CurrentRounding() const { return b_.getInt32(4); }  // _MM_FROUND_CUR_DIRECTION

  llvm::IRBuilder<>& b_;
  Type* type_;
  Type* int_type_;
  bool is_double_;
  bool fills_zmm_ = false;
};

// n = the integer nearest to x * scale, as a float, and `shifted`, a float whose low mantissa bits
// hold n + offset. |n| must be below 2^(mantissa bits - 2). Adding 1.5 * 2^mantissa_bits leaves no
// room for a fraction, so the addition rounds to an integer.
struct Rounded {
  Value* n;
  Value* shifted;
};
Rounded RoundScaled(const Ops& o, Value* x, double scale, int offset) {
  Value* magic = o.C(std::ldexp(1.5, o.mantissa_bits()) + offset);
  Value* shifted = o.Fma(x, o.C(scale), magic);
  return {o.Sub(shifted, magic), shifted};
}

// x - n ln(2), with ln(2) split in two so that only the last operation rounds noticeably.
Value* ReduceLn2(const Ops& o, Value* x, Value* n) {
  if (o.is_double()) {
    Value* r = o.Fma(n, o.C(-kLn2), x);
    return o.Fma(n, o.C(-0x1.abc9e3b39803fp-56), r);
  }
  Value* r = o.Fma(n, o.C(-0x1.62e43p-1), x);
  return o.Fma(n, o.C(0x1.05c61p-29), r);
}

// The bits of 2^(the low bits of i, less the exponent bias).
Value* PowerOfTwo(const Ops& o, Value* i) {
  return o.Float(o.b().CreateShl(i, o.I(o.mantissa_bits())));
}

// x * 2^n for shifted = n + 2 * bias, in two steps so that overflow and subnormal results come out
// right: the first product is exact, the second rounds once.
Value* ScaleTwice(const Ops& o, Value* x, Value* shifted) {
  Value* bits = o.Bits(shifted);
  Value* half = o.b().CreateLShr(bits, o.I(1));
  Value* rest = o.b().CreateSub(bits, half);
  return o.Mul(o.Mul(x, PowerOfTwo(o, half)), PowerOfTwo(o, rest));
}

// exp(r) and exp(r) - 1 for |r| <= ln(2)/2.
Value* ExpReduced(const Ops& o, Value* r) {
  Value* p = o.is_double() ? o.Poly(kExpD, r) : o.Poly(kExpF, r);
  p = o.Fma(p, r, o.C(1.0));
  return o.Fma(p, r, o.C(1.0));
}
Value* Expm1Reduced(const Ops& o, Value* r) {
  Value* p = o.is_double() ? o.Poly(kExpm1D, r) : o.Poly(kExpm1F, r);
  return o.Fma(o.Mul(r, r), p, r);
}

// exp(x): x = n ln(2) + r, 2^n exp(r). The bounds lie just beyond the last arguments that give a
// finite result and a result other than zero.
Value* ExpUnclamped(const Ops& o, Value* x) {
  Rounded k = RoundScaled(o, x, kLog2E, 2 * o.bias());
  Value* p = ExpReduced(o, ReduceLn2(o, x, k.n));
  return o.fills_zmm() ? o.ScaleF(p, k.n) : ScaleTwice(o, p, k.shifted);
}
double ExpUnderflow(const Ops& o) { return o.is_double() ? -746.0 : -104.0; }
double ExpOverflow(const Ops& o) { return o.is_double() ? 710.0 : 89.0; }

Value* Exp(const Ops& o, Value* x) {
  return ExpUnclamped(o, o.Min(o.Max(x, ExpUnderflow(o)), ExpOverflow(o)));
}

// 2^n (exp(r) - 1) + (2^n - 1).
Value* Expm1Scaled(const Ops& o, Value* power, Value* q) {
  return o.Fma(power, q, o.Sub(power, o.C(1.0)));
}

// The last octave before overflow is computed at half its size, because 2^n would overflow first.
Value* Expm1(const Ops& o, Value* x) {
  Value* bounded = o.Max(o.Min(x, ExpOverflow(o)), o.is_double() ? -50.0 : -25.0);
  Rounded k = RoundScaled(o, bounded, kLog2E, o.bias());
  Value* q = Expm1Reduced(o, ReduceLn2(o, bounded, k.n));
  Value* top = o.Ge(x, o.C(o.is_double() ? 709.0 : 88.0));
  Value* n = o.b().CreateSub(o.Bits(k.shifted), o.Select(top, o.I(1), o.I(0)));
  Value* r = Expm1Scaled(o, PowerOfTwo(o, n), q);
  return o.CopySign(o.Mul(r, o.Select(top, o.C(2.0), o.C(1.0))), x);
}

// e / (1 + e) or 1 / (1 + e) with e = exp(-|x|) in [0, 1], so that nothing overflows and a
// negative argument keeps its relative accuracy down to the subnormals. For numerator p, the
// quotient is p - e (p / (1 + e)): that step scales the rounding errors of the sum and the division
// by e.
Value* Sigmoid(const Ops& o, Value* x) {
  Value* e = ExpUnclamped(o, o.Max(o.Neg(o.Abs(x)), ExpUnderflow(o)));
  Value* p = o.fills_zmm() ? o.OneUnlessNegative(x, e) : o.Select(o.Lt(x, o.C(0.0)), e, o.C(1.0));
  return o.Fma(o.Neg(e), o.Div(p, o.Add(e, o.C(1.0))), p);
}

// exp(2r) for |r| <= ln(2)/4. The coefficients are scaled by powers of two, so the bits are those
// of ExpReduced(2r).
Value* ExpTwiceReduced(const Ops& o, Value* r) {
  std::array<double, kExpF.size() + 2> c = {1.0, 2.0};
  for (size_t i = 2; i < c.size(); ++i) c[i] = std::ldexp(kExpF[i - 2], static_cast<int>(i));
  return o.Poly(c, r);
}

// Float: a polynomial for |x| < 0.625, else 1 - 2 / (exp(2|x|) + 1). Both have the magnitude alone
// right, not the sign.
Value* TanhFloat(const Ops& o, Value* x) {
  Value* z = o.Mul(x, x);
  Value* small = o.Fma(o.Mul(o.Poly(kTanhF, z), z), x, x);
  // tanh(10) rounds to 1.
  Value* a = o.fills_zmm() ? o.MinAbs(x, 10.0) : o.Min(o.Abs(x), 10.0);
  Rounded k = RoundScaled(o, a, 2 * kLog2E, o.bias());
  // (2a - n ln(2)) / 2
  Value* r = o.Fma(k.n, o.C(-0x1.62e43p-2), a);
  r = o.Fma(k.n, o.C(0x1.05c61p-30), r);
  Value* p = ExpTwiceReduced(o, r);
  Value* d = o.Fma(p, PowerOfTwo(o, o.Bits(k.shifted)), o.C(1.0));
  Value* large = o.Add(o.Div(o.C(-2.0), d), o.C(1.0));
  // |x| >= 0.625; a NaN takes `small`, which is one.
  Value* is_large = o.Ge(z, o.C(0.625 * 0.625));
  return o.CopySign(o.Select(is_large, large, small), x);
}

// Double: with t = expm1(-2|x|), -t / (2 + t) below 0.5625 and 1 - 2 (1 + t) / (2 + t) above, one
// division. Below, q = h + h q with h = -t/2 damps the errors of q, and most of the rounding error
// of t is taken back: the derivative by t is about -0.85 where that error is largest.
Value* TanhDouble(const Ops& o, Value* x) {
  Value* a = o.Abs(x);
  Value* twice = o.Max(o.Mul(a, o.C(-2.0)), -40.0);  // tanh(20) rounds to 1
  Rounded k = RoundScaled(o, twice, kLog2E, o.bias());
  Value* r = Expm1Reduced(o, ReduceLn2(o, twice, k.n));
  Value* power = PowerOfTwo(o, o.Bits(k.shifted));
  Value* power_m1 = o.Sub(power, o.C(1.0));
  Value* t = o.Fma(power, r, power_m1);
  Value* t_error = o.Fma(power, r, o.Sub(power_m1, t));
  Value* is_small = o.Lt(a, o.C(0.5625));
  Value* h = o.Mul(t, o.C(-0.5));
  Value* p = o.Select(is_small, o.Neg(t), o.Fma(t, o.C(2.0), o.C(2.0)));
  Value* q = o.Div(p, o.Add(t, o.C(2.0)));
  Value* small = o.Add(h, o.Fma(h, q, o.Mul(t_error, o.C(-0.85))));
  return o.CopySign(o.Select(is_small, small, o.Sub(o.C(1.0), q)), x);
}

// a = 2^k m for a normal positive a, with lowest <= m < 2 * lowest.
struct Split {
  Value* k;
  Value* m;
};
Split SplitExponent(const Ops& o, Value* a, Value* k_offset, double lowest) {
  Value* bits = o.Bits(a);
  auto& b = o.b();
  if (!o.is_double()) {
    float lowest_f = static_cast<float>(lowest);
    uint32_t low_bits = llvm::bit_cast<uint32_t>(lowest_f);
    Value* e = b.CreateAnd(b.CreateSub(bits, o.I(low_bits)), o.I(0xff800000u));
    Value* k = b.CreateSIToFP(e, o.type());  // exact: k * 2^23
    k = o.Fma(k, o.C(0x1p-23), k_offset);
    return {k, o.Float(b.CreateSub(bits, e))};
  }
  // 64-bit conversions and arithmetic shifts are slow before AVX-512: k + 1023 is placed in the
  // mantissa of 2^52 instead.
  uint64_t low_bits = llvm::bit_cast<uint64_t>(lowest);
  Value* z = b.CreateAdd(bits, o.I(0x3ff0000000000000u - low_bits));
  Value* biased = b.CreateOr(b.CreateLShr(z, o.I(52)), o.I(0x4330000000000000u));
  Value* k = o.Add(o.Sub(o.Float(biased), o.C(0x1p52 + 1023)), k_offset);
  Value* m = b.CreateAdd(b.CreateAnd(z, o.I(0x000fffffffffffffu)), o.I(low_bits));
  return {k, o.Float(m)};
}

constexpr double kLowestF = 0x1.555556p-1;         // 2/3
constexpr double kLowestD = 0x1.6a09e667f3bcdp-1;  // sqrt(1/2)

// k ln(2) + log(1 + f), with 1 + f in [lowest, 2 lowest).
Value* LogReduced(const Ops& o, Value* k, Value* f) {
  if (!o.is_double()) {
    Value* f2 = o.Mul(f, f);
    Value* p = o.Fma(o.Poly(kLogF, f), f, o.C(-0.5));
    return o.Fma(k, o.C(kLn2), o.Fma(p, f2, f));
  }
  // f - (f^2/2 - s (f^2/2 + z P(z))), s = f / (2 + f): the large terms are exact or nearly so.
  Value* s = o.Div(f, o.Add(f, o.C(2.0)));
  Value* z = o.Mul(s, s);
  Value* r = o.Mul(z, o.Poly(kLogD, z));
  Value* half = o.Mul(o.Mul(f, f), o.C(0.5));
  Value* low = o.Fma(s, o.Add(half, r), o.Mul(k, o.C(-0x1.718432a1b0e26p-35)));
  return o.Fma(k, o.C(0x1.62e42ffp-1), o.Sub(f, o.Sub(half, low)));
}

// The results of log for arguments that are zero, negative, infinite or NaN; `zero` is where the
// argument of the logarithm is zero.
Value* LogSpecial(const Ops& o, Value* r, Value* x, double zero) {
  Value* outside = o.Select(o.Eq(x, o.C(zero)), o.NegInf(), o.NaN());
  r = o.Select(o.b().CreateFCmpOGT(x, o.C(zero)), r, outside);
  return o.Select(o.Eq(x, o.Inf()), x, r);
}

struct Scaled {
  Value* x;
  Value* k;
};
// Subnormals made normal: x = scaled.x * 2^scaled.k.
Scaled ScaleSubnormal(const Ops& o, Value* x) {
  double scale = std::ldexp(1.0, o.mantissa_bits());
  Value* is_small = o.Lt(x, o.C(o.is_double() ? 0x1p-1022 : 0x1p-126));
  return {o.Select(is_small, o.Mul(x, o.C(scale)), x),
          o.Select(is_small, o.C(-o.mantissa_bits()), o.C(0.0))};
}

Value* Log(const Ops& o, Value* x) {
  Scaled a = ScaleSubnormal(o, x);
  Split s = SplitExponent(o, a.x, a.k, o.is_double() ? kLowestD : kLowestF);
  Value* r = LogReduced(o, s.k, o.Sub(s.m, o.C(1.0)));
  return LogSpecial(o, r, x, 0.0);
}

// With 2^k taken from the rounded 1 + x, f = x 2^-k + (2^-k - 1) has one rounding, and none when
// k = 0, so nothing of a small x is lost and no division by 1 + x is needed.
Value* Log1p(const Ops& o, Value* x) {
  auto& b = o.b();
  Value* u = o.Add(x, o.C(1.0));
  Split s = SplitExponent(o, u, o.C(0.0), o.is_double() ? kLowestD : kLowestF);
  // 2^(2-k) is normal for every k, 2^-k is not.
  Value* diff = b.CreateSub(o.Bits(u), o.Bits(s.m));  // k << mantissa_bits
  Value* four = o.I(static_cast<uint64_t>(o.bias() + 2) << o.mantissa_bits());
  Value* power = o.Mul(o.Float(b.CreateSub(four, diff)), o.C(0.25));
  Value* f = o.Fma(x, power, o.Sub(power, o.C(1.0)));
  return LogSpecial(o, o.CopySign(LogReduced(o, s.k, f), x), x, -1.0);
}

Value* Rsqrt(const Ops& o, Value* x) { return o.Div(o.C(1.0), o.Sqrt(x)); }

// Is a (nonnegative) an integer? Adding 2^mantissa_bits drops the fraction; above that there is
// none.
Value* IsInteger(const Ops& o, Value* a) {
  Value* big = o.C(std::ldexp(1.0, o.mantissa_bits()));
  return o.Or(o.Ge(a, big), o.Eq(o.Sub(o.Add(a, big), big), a));
}

// Given r = |x|^y, correct up to sign wherever |x|^y is defined, applies the sign of an odd power
// and the cases of C99 that are not numbers, or one.
Value* PowSpecial(const Ops& o, Value* r, Value* x, Value* y) {
  auto& b = o.b();
  Value* a = o.Abs(y);
  Value* is_integer = IsInteger(o, a);
  Value* is_odd = o.And(is_integer, o.Not(IsInteger(o, o.Mul(a, o.C(0.5)))));
  Value* sign_bit = o.I(uint64_t{1} << (o.is_double() ? 63 : 31));
  Value* sign = o.Select(is_odd, o.And(o.Bits(x), sign_bit), o.I(0));
  r = o.Float(b.CreateXor(o.Bits(r), sign));
  Value* negative = o.And(o.Lt(x, o.C(0.0)), b.CreateFCmpONE(x, o.NegInf()));
  Value* invalid = o.Or(o.Unordered(x, y), o.And(negative, o.Not(is_integer)));
  r = o.Select(invalid, o.NaN(), r);
  return o.Select(o.Or(o.Eq(x, o.C(1.0)), o.Eq(y, o.C(0.0))), o.C(1.0), r);
}

// The logarithm of zero and of infinity, where |x| may be either.
Value* LogZeroInf(const Ops& o, Value* log, Value* a) {
  log = o.Select(o.Eq(a, o.C(0.0)), o.NegInf(), log);
  return o.Select(o.Eq(a, o.Inf()), o.Inf(), log);
}

// 2^(y log2|x|) in double: the polynomials are good to 2^-28 of the result and the conversion to
// float rounds once, also to subnormals and infinity.
Value* PowFloat(llvm::IRBuilder<>& b, Value* x, Value* y) {
  Ops f(b, x->getType());
  Type* wide = b.getDoubleTy();
  if (auto* v = llvm::dyn_cast<llvm::FixedVectorType>(x->getType())) {
    wide = llvm::FixedVectorType::get(wide, v->getNumElements());
  }
  Ops o(b, wide);
  Value* a = b.CreateFPExt(f.Abs(x), wide);  // never subnormal as a double
  Split s = SplitExponent(o, a, o.C(0.0), 0x1.5555555555556p-1);
  Value* m = o.Sub(s.m, o.C(1.0));
  Value* log = LogZeroInf(o, o.Fma(o.Poly(kLog2Pow, m), m, s.k), a);
  // An infinite y gives 0 * inf for |x| = 1; any huge number does as well.
  Value* product = o.Mul(o.Min(o.Max(b.CreateFPExt(y, wide), -0x1p200), 0x1p200), log);
  product = o.Min(o.Max(product, -200.0), 200.0);
  Rounded k = RoundScaled(o, product, 1.0, o.bias());
  Value* r = o.Sub(product, k.n);
  Value* p = o.Fma(o.Poly(kExp2Pow, r), r, o.C(1.0));
  p = o.Mul(p, PowerOfTwo(o, o.Bits(k.shifted)));
  return PowSpecial(f, b.CreateFPTrunc(p, x->getType()), x, y);
}

// A sum of two doubles, lo below half an ulp of hi (or nearly so).
struct Double2 {
  Value* hi;
  Value* lo;
};
// a + b exactly, for |a| >= |b| or a = 0.
Double2 FastTwoSum(const Ops& o, Value* a, Value* b) {
  Value* sum = o.Add(a, b);
  return {sum, o.Sub(b, o.Sub(sum, a))};
}
Double2 Product(const Ops& o, Double2 x, Double2 y) {
  Value* hi = o.Mul(x.hi, y.hi);
  Value* lo = o.Fma(x.hi, y.hi, o.Neg(hi));
  return {hi, o.Fma(x.hi, y.lo, o.Fma(x.lo, y.hi, lo))};
}

// log|x| to about 2^-64: the first two terms of the series in s = f / (2 + f) in double-double, the
// rest, at most 2^-12 of the sum, in double.
Double2 LogDouble2(const Ops& o, Value* a) {
  Scaled scaled = ScaleSubnormal(o, a);
  Split split = SplitExponent(o, scaled.x, scaled.k, kLowestD);
  Value* one = o.C(1.0);
  Value* f = o.Sub(split.m, one);
  Value* d = o.Add(split.m, one);
  Value* d_low = o.Sub(split.m, o.Sub(d, one));
  Value* reciprocal = o.Div(one, d);
  Double2 s;
  s.hi = o.Mul(f, reciprocal);
  Value* negative = o.Neg(s.hi);
  Value* rest = o.Fma(negative, d_low, o.Fma(negative, d, f));
  s.lo = o.Mul(rest, reciprocal);
  Double2 z = Product(o, s, s);
  Double2 cube = Product(o, z, s);
  Double2 term = Product(o, {o.C(kTwoThirdsHi), o.C(kTwoThirdsLo)}, cube);
  Value* tail = o.Mul(o.Mul(cube.hi, z.hi), o.Poly(kLogPowD, z.hi));
  Double2 sum = FastTwoSum(o, o.Mul(s.hi, o.C(2.0)), term.hi);
  sum.lo = o.Add(sum.lo, o.Add(o.Fma(s.lo, o.C(2.0), term.lo), tail));
  // k ln(2), the high part of 32 bits so that the product is exact.
  Double2 log = FastTwoSum(o, o.Mul(split.k, o.C(0x1.62e42ffp-1)), sum.hi);
  log.lo = o.Add(log.lo, o.Fma(split.k, o.C(-0x1.718432a1b0e26p-35), sum.lo));
  return FastTwoSum(o, log.hi, log.lo);
}

// exp(y log|x|), the logarithm and the product in double-double.
Value* PowDouble(llvm::IRBuilder<>& b, Value* x, Value* y) {
  Ops o(b, x->getType());
  Value* a = o.Abs(x);
  Double2 log = LogDouble2(o, a);
  log.hi = LogZeroInf(o, log.hi, a);
  Value* finite_y = o.Min(o.Max(y, -0x1p1000), 0x1p1000);  // as in PowFloat
  Value* hi = o.Mul(finite_y, log.hi);
  Value* lo = o.Fma(finite_y, log.lo, o.Fma(finite_y, log.hi, o.Neg(hi)));
  // Beyond the range of exp the low part does not matter and may be NaN.
  lo = o.Select(o.Lt(o.Abs(hi), o.C(800.0)), lo, o.C(0.0));
  hi = o.Min(o.Max(hi, -800.0), 800.0);
  Rounded k = RoundScaled(o, hi, kLog2E, 2 * o.bias());
  Value* r = o.Fma(k.n, o.C(-0x1.62e42ffp-1), hi);  // exact
  r = o.Add(r, o.Fma(k.n, o.C(0x1.718432a1b0e26p-35), lo));
  return PowSpecial(o, ScaleTwice(o, ExpReduced(o, r), k.shifted), x, y);
}

}  // namespace

const char* MathFnName(MathFn fn) {
  switch (fn) {
    case MathFn::kExp:
      return "exp";
    case MathFn::kExpm1:
      return "expm1";
    case MathFn::kLog:
      return "log";
    case MathFn::kLog1p:
      return "log1p";
    case MathFn::kTanh:
      return "tanh";
    case MathFn::kSigmoid:
      return "sigmoid";
    case MathFn::kSqrt:
      return "sqrt";
    case MathFn::kRsqrt:
      return "rsqrt";
  }
  return "unknown";
}

Value* EmitUnaryMath(llvm::IRBuilder<>& b, MathFn fn, Value* x, const MathOptions& options) {
  Ops o(b, x->getType(), options);
  switch (fn) {
    case MathFn::kExp:
      return Exp(o, x);
    case MathFn::kExpm1:
      return Expm1(o, x);
    case MathFn::kLog:
      return Log(o, x);
    case MathFn::kLog1p:
      return Log1p(o, x);
    case MathFn::kTanh:
      return o.is_double() ? TanhDouble(o, x) : TanhFloat(o, x);
    case MathFn::kSigmoid:
      return Sigmoid(o, x);
    case MathFn::kSqrt:
      return o.Sqrt(x);
    case MathFn::kRsqrt:
      return Rsqrt(o, x);
  }
  return nullptr;
}

Value* EmitPow(llvm::IRBuilder<>& b, Value* x, Value* y) {
  return x->getType()->getScalarType()->isDoubleTy() ? PowDouble(b, x, y) : PowFloat(b, x, y);
}

}  // namespace duet::compiler::llvm_backend
