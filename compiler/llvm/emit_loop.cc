// The CPU's loop shape: vectors of kLanes lanes along inner, a masked vector for the rest.
//
// A value is *uniform* if it is the same along inner for kNone and kInner bodies: constants,
// operands of class kZero, reductions, and what follows from those alone. Uniform values are
// computed once per row, as scalars. In kRows bodies the values of level kReduced are computed once
// per tile of inner positions. Mathematical functions give the same bits for scalars and vectors,
// so it shows in the time alone.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "compiler/llvm/emit_instr.h"
#include "compiler/llvm/target.h"
#include "core/error.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"

namespace duet::compiler::llvm_backend {
namespace {

using llvm::Value;
using loop::Axis;
using loop::Body;
using loop::Code;
using loop::Instr;
using loop::KernelArgs;
using loop::kLanes;
using loop::Stride;

// A vector of points: kLanes inner positions of one row.
struct Point {
  Value* index = nullptr;        // inner position of lane 0
  Value* count = nullptr;        // lanes that exist, null if all
  Value* mask = nullptr;         // <kLanes x i1>, null if all
  std::vector<Value*> pointers;  // of operands and outputs, at the row
  std::vector<Value*> values;    // by instruction
};

bool IsMath(Code code) {
  return (code >= Code::kRsqrt && code <= Code::kSigmoid) || code == Code::kPow ||
         code == Code::kFloorMod;
}

class LoopEmitter {
 public:
  LoopEmitter(const Target& target, const loop::Program& program, const EmitOptions& options,
              llvm::Function* kernel)
      : target_(target),
        program_(program),
        body_(program.body),
        options_(options),
        context_(kernel->getContext()),
        b_(llvm::BasicBlock::Create(context_, "", kernel)),
        reduced_(loop::ReducedLevel(body_)) {}

  void Emit() {
    Analyse();
    LoadArguments(b_.GetInsertBlock()->getParent()->getArg(0));
    if (body_.axis == Axis::kRows) {
      EmitTiles();
    } else {
      EmitRows();
    }
    b_.CreateRetVoid();
  }

 private:
  size_t num_instrs() const { return body_.instrs.size(); }
  size_t num_operands() const { return body_.operands.size(); }
  Value* Int(int64_t v) { return b_.getInt64(v); }
  Value* Splat(Value* scalar) { return b_.CreateVectorSplat(kLanes, scalar); }
  llvm::Align AlignOf(DType dtype) { return llvm::Align(SizeOf(dtype)); }
  Value* Offset(Value* pointer, Value* bytes) {
    return b_.CreateGEP(b_.getInt8Ty(), pointer, bytes);
  }
  DType OutputType(size_t k) const { return body_.instrs[body_.outputs[k].value].dtype; }
  size_t OutputSlot(size_t k) const { return num_operands() + k; }

  // Which reductions must be finished before an instruction can be evaluated, which instructions
  // are used at all, and which are uniform.
  void Analyse() {
    ready_.assign(num_instrs(), 0);
    live_.assign(num_instrs(), false);
    uniform_.assign(num_instrs(), false);
    for (const loop::Output& o : body_.outputs) live_[o.value] = true;
    for (size_t i = num_instrs(); i-- > 0;) {
      if (live_[i]) ForInputs(i, [&](int32_t v) { live_[v] = true; });
    }
    for (size_t i = 0; i < num_instrs(); ++i) {
      const Instr& instr = body_.instrs[i];
      bool uniform = instr.code != Code::kLoad && instr.code != Code::kIndexInner;
      if (instr.code == Code::kLoad) uniform = program_.inner[instr.a] == Stride::kZero;
      ForInputs(i, [&](int32_t v) {
        ready_[i] = std::max(ready_[i], ready_[v]);
        uniform = uniform && uniform_[v];
      });
      if (instr.code == Code::kReduce) {
        uniform = true;
        if (live_[i]) phases_ = std::max(phases_, ++ready_[i]);
      }
      uniform_[i] = uniform && body_.axis != Axis::kRows;
    }
  }
  template <class F>
  void ForInputs(size_t i, F f) const {
    const Instr& instr = body_.instrs[i];
    if (instr.code == Code::kLoad) return;
    for (int32_t v : {instr.a, instr.b, instr.c}) {
      if (v >= 0) f(v);
    }
  }

  void LoadArguments(Value* args) {
    scratch_ = b_.CreateAlloca(llvm::ArrayType::get(b_.getInt64Ty(), kLanes));
    scratch_->setAlignment(llvm::Align(64));
    auto field = [&](size_t offset, llvm::Type* type) -> Value* {
      return b_.CreateLoad(type, b_.CreateConstGEP1_64(b_.getInt8Ty(), args, offset));
    };
    rows_ = field(offsetof(KernelArgs, rows), b_.getInt64Ty());
    inner_ = field(offsetof(KernelArgs, inner), b_.getInt64Ty());
    index_base_ = field(offsetof(KernelArgs, index_base), b_.getInt64Ty());
    Value* pointers = field(offsetof(KernelArgs, pointers), b_.getPtrTy());
    Value* row_strides = field(offsetof(KernelArgs, row_strides), b_.getPtrTy());
    Value* inner_strides = field(offsetof(KernelArgs, inner_strides), b_.getPtrTy());
    llvm::Type* data = b_.getPtrTy(target_.address_space());
    for (size_t k = 0; k < num_operands() + body_.outputs.size(); ++k) {
      base_.push_back(b_.CreateLoad(data, b_.CreateConstGEP1_64(data, pointers, k)));
      row_stride_.push_back(
          b_.CreateLoad(b_.getInt64Ty(), b_.CreateConstGEP1_64(b_.getInt64Ty(), row_strides, k)));
      const bool any = k < num_operands() && program_.inner[k] == Stride::kAny;
      inner_stride_.push_back(
          any ? b_.CreateLoad(b_.getInt64Ty(),
                              b_.CreateConstGEP1_64(b_.getInt64Ty(), inner_strides, k))
              : nullptr);
    }
  }

  std::vector<Value*> PointersAtRow(Value* row) {
    std::vector<Value*> pointers;
    for (size_t k = 0; k < base_.size(); ++k) {
      pointers.push_back(Offset(base_[k], b_.CreateMul(row, row_stride_[k])));
    }
    return pointers;
  }

  // ---- Memory -----------------------------------------------------------------------------------

  Value* FromMemory(DType dtype, Value* v) { return dtype == kBool ? b_.CreateIsNotNull(v) : v; }
  Value* ToMemory(DType dtype, Value* v, int lanes) {
    return dtype == kBool ? b_.CreateZExt(v, MemoryType(context_, kBool, lanes)) : v;
  }

  // What output k stores. Which NaN an operation gives depends on the order of its operands, on
  // constant folding and on the CPU; a computed NaN is stored as the one quiet NaN, so that the
  // bits of a fused and an unfused program agree there too. A value that was only loaded is stored
  // as it is.
  Value* Stored(size_t k, Value* v) {
    const loop::Instr& instr = body_.instrs[body_.outputs[k].value];
    if (!IsFloating(instr.dtype) || instr.code == loop::Code::kLoad) return v;
    llvm::Type* type = v->getType();
    llvm::Type* bits = type->getWithNewType(b_.getIntNTy(type->getScalarSizeInBits()));
    llvm::Constant* quiet = llvm::ConstantInt::get(
        bits, instr.dtype == kFloat32 ? uint64_t{0x7fc00000} : uint64_t{0x7ff8000000000000});
    // A select of integers: LLVM takes one NaN for another and would drop a select of floats.
    Value* chosen = b_.CreateSelect(b_.CreateFCmpUNO(v, v), quiet, b_.CreateBitCast(v, bits));
    return b_.CreateBitCast(chosen, type);
  }

  Value* LoadScalar(DType dtype, Value* pointer) {
    return FromMemory(
        dtype, b_.CreateAlignedLoad(MemoryType(context_, dtype, 1), pointer, AlignOf(dtype)));
  }
  void StoreScalar(DType dtype, Value* v, Value* pointer) {
    b_.CreateAlignedStore(ToMemory(dtype, v, 1), pointer, AlignOf(dtype));
  }

  Value* ElementPointer(DType dtype, Value* pointer, Value* index) {
    return b_.CreateGEP(MemoryType(context_, dtype, 1), pointer, index);
  }

  // Copies `count` elements one by one: masked moves for CPUs that have none.
  void CopyElements(DType dtype, Value* to, Value* from, Value* count) {
    EmitFor(b_, Int(0), count, 1, {}, [&](Value* i, const Values&) -> Values {
      llvm::Type* type = MemoryType(context_, dtype, 1);
      Value* v = b_.CreateAlignedLoad(type, b_.CreateGEP(type, from, i), AlignOf(dtype));
      b_.CreateAlignedStore(v, b_.CreateGEP(type, to, i), AlignOf(dtype));
      return {};
    });
  }

  Value* LoadContiguous(DType dtype, Value* pointer, const Point& p) {
    llvm::Type* type = MemoryType(context_, dtype, kLanes);
    Value* at = ElementPointer(dtype, pointer, p.index);
    if (p.mask == nullptr) return b_.CreateAlignedLoad(type, at, AlignOf(dtype));
    Value* zeros = llvm::Constant::getNullValue(type);
    if (target_.HasMaskedMemory(SizeOf(dtype))) {
      return b_.CreateMaskedLoad(type, at, AlignOf(dtype), p.mask, zeros);
    }
    b_.CreateAlignedStore(zeros, scratch_, llvm::Align(64));
    CopyElements(dtype, scratch_, at, p.count);
    return b_.CreateAlignedLoad(type, scratch_, llvm::Align(64));
  }

  void StoreContiguous(DType dtype, Value* v, Value* pointer, const Point& p) {
    v = ToMemory(dtype, v, kLanes);
    Value* at = ElementPointer(dtype, pointer, p.index);
    if (p.mask == nullptr) {
      b_.CreateAlignedStore(v, at, AlignOf(dtype));
    } else if (target_.HasMaskedMemory(SizeOf(dtype))) {
      b_.CreateMaskedStore(v, at, AlignOf(dtype), p.mask);
    } else {
      b_.CreateAlignedStore(v, scratch_, llvm::Align(64));
      CopyElements(dtype, at, scratch_, p.count);
    }
  }

  // Lanes that do not exist read the last element that does.
  Value* LoadStrided(DType dtype, Value* pointer, Value* stride, const Point& p) {
    llvm::Type* scalar = MemoryType(context_, dtype, 1);
    Value* first = Offset(pointer, b_.CreateMul(p.index, stride));
    Value* last = p.count ? b_.CreateSub(p.count, Int(1)) : nullptr;
    Value* v = llvm::PoisonValue::get(MemoryType(context_, dtype, kLanes));
    for (int lane = 0; lane < kLanes; ++lane) {
      Value* step = Int(lane);
      if (last) step = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, step, last);
      Value* at = Offset(first, b_.CreateMul(step, stride));
      v = b_.CreateInsertElement(v, b_.CreateAlignedLoad(scalar, at, AlignOf(dtype)), lane);
    }
    return v;
  }

  Value* LoadPoint(int32_t k, const Point& p) {
    const DType dtype = body_.operands[k];
    switch (program_.inner[k]) {
      case Stride::kZero:
        return Splat(LoadScalar(dtype, p.pointers[k]));
      case Stride::kUnit:
        return FromMemory(dtype, LoadContiguous(dtype, p.pointers[k], p));
      case Stride::kAny:
        return FromMemory(dtype, LoadStrided(dtype, p.pointers[k], inner_stride_[k], p));
    }
    return nullptr;
  }

  // ---- Values -----------------------------------------------------------------------------------

  // Evaluates instruction i from the values of its operands, for vectors or (uniform) scalars.
  Value* Evaluate(size_t i, const std::vector<Value*>& values) {
    const Instr& instr = body_.instrs[i];
    auto value = [&](int32_t v) { return v < 0 ? nullptr : values[v]; };
    const DType operand = body_.instrs[instr.code == Code::kSelect ? instr.b : instr.a].dtype;
    return EmitInstr(b_, target_, options_, instr, operand, value(instr.a), value(instr.b),
                     value(instr.c));
  }

  Value* Constant(size_t i, int lanes) {
    const Instr& instr = body_.instrs[i];
    return EmitConstant(context_, instr.dtype, instr.imm, lanes);
  }

  // Computes at `p` the values of `roots` that it does not have yet.
  void EvaluatePoint(const std::vector<int32_t>& roots, Point* p) {
    std::vector<bool> needed(num_instrs(), false);
    for (int32_t r : roots) needed[r] = true;
    for (size_t i = num_instrs(); i-- > 0;) {
      if (needed[i] && p->values[i] == nullptr) ForInputs(i, [&](int32_t v) { needed[v] = true; });
    }
    for (size_t i = 0; i < num_instrs(); ++i) {
      if (!needed[i] || p->values[i] != nullptr) continue;
      const Instr& instr = body_.instrs[i];
      switch (instr.code) {
        case Code::kConst:
          p->values[i] = Constant(i, kLanes);
          break;
        case Code::kIndexInner: {
          Value* first = Splat(b_.CreateAdd(index_base_, p->index));
          p->values[i] = b_.CreateAdd(first, LaneNumbers(b_.getInt64Ty()));
          break;
        }
        case Code::kLoad:
          p->values[i] = LoadPoint(instr.a, *p);
          break;
        default:
          p->values[i] = Evaluate(i, p->values);
      }
    }
  }

  Value* LaneNumbers(llvm::Type* type) {
    llvm::SmallVector<llvm::Constant*> lanes;
    for (int l = 0; l < kLanes; ++l) lanes.push_back(llvm::ConstantInt::get(type, l));
    return llvm::ConstantVector::get(lanes);
  }

  Point MakePoint(Value* index, Value* count, std::vector<Value*> pointers,
                  std::vector<Value*> values) {
    Point p{.index = index, .count = count};
    p.pointers = std::move(pointers);
    p.values = std::move(values);
    if (count != nullptr) {
      Value* n = Splat(b_.CreateTrunc(count, b_.getInt32Ty()));
      p.mask = b_.CreateICmpULT(LaneNumbers(b_.getInt32Ty()), n);
    }
    return p;
  }

  std::vector<int32_t> ReductionsOfPhase(int phase) const {
    std::vector<int32_t> result;
    for (size_t i = 0; i < num_instrs(); ++i) {
      if (live_[i] && body_.instrs[i].code == Code::kReduce && ready_[i] == phase + 1) {
        result.push_back(static_cast<int32_t>(i));
      }
    }
    return result;
  }
  Values Identities(const std::vector<int32_t>& reductions, int copies) {
    Values result;
    for (int c = 0; c < copies; ++c) {
      for (int32_t r : reductions) {
        const Instr& instr = body_.instrs[r];
        result.push_back(EmitConstant(
            context_, instr.dtype, loop::ReduceIdentity(instr.reduce, instr.dtype).bits, kLanes));
      }
    }
    return result;
  }
  // accumulated[k] and next[k] combined, for `reductions` over and over.
  Values Combine(const std::vector<int32_t>& reductions, const Values& accumulated,
                 const Values& next) {
    Values result;
    for (size_t k = 0; k < accumulated.size(); ++k) {
      const Instr& instr = body_.instrs[reductions[k % reductions.size()]];
      result.push_back(
          EmitReduceStep(b_, options_, instr.reduce, instr.dtype, accumulated[k], next[k]));
    }
    return result;
  }
  std::vector<int32_t> Sources(const std::vector<int32_t>& reductions) const {
    std::vector<int32_t> result;
    for (int32_t r : reductions) result.push_back(body_.instrs[r].a);
    return result;
  }

  // ---- kNone and kInner -------------------------------------------------------------------------

  void EmitRows() {
    EmitFor(b_, Int(0), RowCount(), 1, {}, [&](Value* row, const Values&) -> Values {
      const std::vector<Value*> pointers = PointersAtRow(row);
      std::vector<Value*> scalars(num_instrs(), nullptr), splats(num_instrs(), nullptr);
      EvaluateUniform(0, pointers, &scalars, &splats);
      for (int phase = 0; phase < phases_; ++phase) {
        ReduceRow(phase, pointers, splats, &scalars);
        EvaluateUniform(phase + 1, pointers, &scalars, &splats);
      }
      StoreRow(pointers, scalars, splats);
      return {};
    });
  }

  // Operands of class kZero may have no element where inner is 0 and nothing is to be done.
  Value* RowCount() {
    if (body_.axis == Axis::kInner) return rows_;
    return b_.CreateSelect(b_.CreateICmpSGT(inner_, Int(0)), rows_, Int(0));
  }

  // The uniform values that become known after `phase` reductions.
  void EvaluateUniform(int phase, const std::vector<Value*>& pointers, std::vector<Value*>* scalars,
                       std::vector<Value*>* splats) {
    for (size_t i = 0; i < num_instrs(); ++i) {
      if (!live_[i] || !uniform_[i] || ready_[i] != phase) continue;
      const Instr& instr = body_.instrs[i];
      Value*& v = (*scalars)[i];
      if (instr.code == Code::kConst) {
        v = Constant(i, 1);
      } else if (instr.code == Code::kLoad) {
        v = LoadScalar(instr.dtype, pointers[instr.a]);
      } else if (instr.code != Code::kReduce) {
        v = Evaluate(i, *scalars);
      }
      (*splats)[i] = Splat(v);
    }
  }

  // Full vectors of [begin, end), which is a multiple of kLanes long; then, if `count` is not null,
  // a masked one of the last `count` positions.
  Values OverInner(Value* begin, Value* full_end, const Values& initial,
                   const std::vector<Value*>& pointers, const std::vector<Value*>& splats,
                   llvm::function_ref<Values(Point& p, const Values& values)> body) {
    return EmitFor(b_, begin, full_end, kLanes, initial, [&](Value* i, const Values& values) {
      Point p = MakePoint(i, nullptr, pointers, splats);
      return body(p, values);
    });
  }

  void ReduceRow(int phase, const std::vector<Value*>& pointers, const std::vector<Value*>& splats,
                 std::vector<Value*>* scalars) {
    const std::vector<int32_t> reductions = ReductionsOfPhase(phase);
    const std::vector<int32_t> sources = Sources(reductions);
    const Values identities = Identities(reductions, 1);
    auto step = [&](Point& p, const Values& acc) {
      EvaluatePoint(sources, &p);
      Values next;
      for (int32_t s : sources) next.push_back(p.values[s]);
      Values sums = Combine(reductions, acc, next);
      if (p.mask != nullptr) {
        for (size_t k = 0; k < sums.size(); ++k) {
          sums[k] = b_.CreateSelect(p.mask, sums[k], acc[k]);
        }
      }
      return sums;
    };
    Values running = EmitFor(
        b_, Int(0), inner_, loop::kInnerBlock, identities, [&](Value* block, const Values& so_far) {
          Value* end = b_.CreateBinaryIntrinsic(
              llvm::Intrinsic::smin, b_.CreateAdd(block, Int(loop::kInnerBlock)), inner_);
          Value* full_end = b_.CreateAnd(end, Int(-kLanes));
          Values acc = OverInner(block, full_end, identities, pointers, splats, step);
          Value* count = b_.CreateSub(end, full_end);
          acc = EmitIf(b_, b_.CreateICmpSGT(count, Int(0)), acc, [&] {
            Point p = MakePoint(full_end, count, pointers, splats);
            return step(p, acc);
          });
          return Combine(reductions, so_far, acc);
        });
    for (size_t k = 0; k < reductions.size(); ++k) {
      (*scalars)[reductions[k]] = CombineLanes(body_.instrs[reductions[k]], running[k]);
    }
  }

  // Lane l with lane l + n / 2, until one is left.
  Value* CombineLanes(const Instr& instr, Value* v) {
    for (int n = kLanes / 2; n >= 1; n /= 2) {
      llvm::SmallVector<int> low, high;
      for (int l = 0; l < n; ++l) {
        low.push_back(l);
        high.push_back(l + n);
      }
      v = EmitReduceStep(b_, options_, instr.reduce, instr.dtype, b_.CreateShuffleVector(v, low),
                         b_.CreateShuffleVector(v, high));
    }
    return b_.CreateExtractElement(v, uint64_t{0});
  }

  void StoreRow(const std::vector<Value*>& pointers, const std::vector<Value*>& scalars,
                const std::vector<Value*>& splats) {
    std::vector<int32_t> roots;
    for (const loop::Output& o : body_.outputs) {
      if (!reduced_[o.value]) roots.push_back(o.value);
    }
    auto store = [&](Point& p) {
      EvaluatePoint(roots, &p);
      for (size_t k = 0; k < body_.outputs.size(); ++k) {
        const int32_t v = body_.outputs[k].value;
        if (!reduced_[v])
          StoreContiguous(OutputType(k), Stored(k, p.values[v]), p.pointers[OutputSlot(k)], p);
      }
    };
    if (!roots.empty()) {
      Value* full_end = b_.CreateAnd(inner_, Int(-kLanes));
      OverInner(Int(0), full_end, {}, pointers, splats, [&](Point& p, const Values&) -> Values {
        store(p);
        return {};
      });
      Value* count = b_.CreateSub(inner_, full_end);
      EmitIf(b_, b_.CreateICmpSGT(count, Int(0)), {}, [&]() -> Values {
        Point p = MakePoint(full_end, count, pointers, splats);
        store(p);
        return {};
      });
    }
    for (size_t k = 0; k < body_.outputs.size(); ++k) {
      const int32_t v = body_.outputs[k].value;
      if (reduced_[v]) StoreScalar(OutputType(k), Stored(k, scalars[v]), pointers[OutputSlot(k)]);
    }
  }

  // ---- kRows ------------------------------------------------------------------------------------

  // Wide tiles walk several cache lines of each row at once; the last positions go in masked tiles
  // of one vector. Each inner position is reduced by itself, so the width does not change bits.
  void EmitTiles() {
    const bool math = std::any_of(body_.instrs.begin(), body_.instrs.end(),
                                  [](const Instr& i) { return IsMath(i.code); });
    const int vectors = math || num_instrs() > 12 ? 1 : 4;
    const int64_t width = vectors * kLanes;
    Value* wide_end = b_.CreateAnd(inner_, Int(-width));
    EmitFor(b_, Int(0), wide_end, width, {}, [&](Value* i, const Values&) -> Values {
      std::vector<Point> points;
      for (int v = 0; v < vectors; ++v) {
        points.push_back(MakePoint(b_.CreateAdd(i, Int(v * kLanes)), nullptr, base_,
                                   std::vector<Value*>(num_instrs(), nullptr)));
      }
      EmitTile(&points);
      return {};
    });
    EmitFor(b_, wide_end, inner_, kLanes, {}, [&](Value* i, const Values&) -> Values {
      Value* count =
          b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, Int(kLanes), b_.CreateSub(inner_, i));
      std::vector<Point> points = {
          MakePoint(i, count, base_, std::vector<Value*>(num_instrs(), nullptr))};
      EmitTile(&points);
      return {};
    });
  }

  void EmitTile(std::vector<Point>* points) {
    EvaluateReduced(0, points);
    for (int phase = 0; phase < phases_; ++phase) {
      const std::vector<int32_t> reductions = ReductionsOfPhase(phase);
      const Values totals = ReduceTile(reductions, *points);
      for (size_t k = 0; k < totals.size(); ++k) {
        (*points)[k / reductions.size()].values[reductions[k % reductions.size()]] = totals[k];
      }
      EvaluateReduced(phase + 1, points);
    }
    for (Point& p : *points) {
      for (size_t k = 0; k < body_.outputs.size(); ++k) {
        StoreContiguous(OutputType(k), Stored(k, p.values[body_.outputs[k].value]),
                        p.pointers[OutputSlot(k)], p);
      }
    }
  }

  // The values of level kReduced that become known after `phase` reductions.
  void EvaluateReduced(int phase, std::vector<Point>* points) {
    std::vector<int32_t> roots;
    for (size_t i = 0; i < num_instrs(); ++i) {
      if (live_[i] && reduced_[i] && ready_[i] == phase) roots.push_back(static_cast<int32_t>(i));
    }
    for (Point& p : *points) EvaluatePoint(roots, &p);
  }

  Values ReduceTile(const std::vector<int32_t>& reductions, const std::vector<Point>& points) {
    const std::vector<int32_t> sources = Sources(reductions);
    const Values identities = Identities(reductions, static_cast<int>(points.size()));
    return EmitFor(
        b_, Int(0), rows_, loop::kRowBlock, identities, [&](Value* block, const Values& so_far) {
          Value* end = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                                b_.CreateAdd(block, Int(loop::kRowBlock)), rows_);
          Values sums = EmitFor(b_, block, end, 1, identities, [&](Value* row, const Values& acc) {
            const std::vector<Value*> pointers = PointersAtRow(row);
            Values next;
            for (const Point& tile : points) {
              Point p = tile;
              p.pointers = pointers;
              EvaluatePoint(sources, &p);
              for (int32_t s : sources) next.push_back(p.values[s]);
            }
            return Combine(reductions, acc, next);
          });
          return Combine(reductions, so_far, sums);
        });
  }

  const Target& target_;
  const loop::Program& program_;
  const Body& body_;
  const EmitOptions& options_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  const std::vector<bool> reduced_;

  std::vector<int> ready_;  // reductions to finish before, as the number of phases
  std::vector<bool> live_, uniform_;
  int phases_ = 0;

  Value *rows_ = nullptr, *inner_ = nullptr, *index_base_ = nullptr;
  std::vector<Value*> base_, row_stride_, inner_stride_;
  llvm::AllocaInst* scratch_ = nullptr;
};

}  // namespace

void CpuTarget::EmitLoops(const loop::Program& program, const EmitOptions& options,
                          llvm::Function* kernel) const {
  LoopEmitter(*this, program, options, kernel).Emit();
}

}  // namespace duet::compiler::llvm_backend
