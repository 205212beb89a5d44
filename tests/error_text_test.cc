// The exact texts of what a user reads after a mistake in an op call: the same now, while
// recording, in a session after optimisation, and after saving and reading the graph back; always
// with the line of the C++ call.

#include <functional>

#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;

using Inputs = std::vector<Tensor>;

// Each mistake notes its own line before the call: L = Here().
uint32_t L = 0;
uint32_t Here(std::source_location loc = std::source_location::current()) { return loc.line(); }

struct Mistake {
  const char* name;
  Inputs in;
  std::function<Tensor(const Inputs&)> call;
  std::string text;  // without "file:line: "
};

// The text of a mistake at line L. Anything else comes back with a mark, so that the comparison
// shows it.
std::string TextAtLine(const absl::Status& status, absl::StatusCode code) {
  if (status.ok()) return "no error";
  if (status.code() != code) return Str("another code: ", status.ToString());
  const std::string message(status.message()), place = Str(__FILE__, ":", L, ": ");
  if (message.rfind(place, 0) != 0) return Str("not at line ", L, ": ", message);
  return message.substr(place.size());
}

absl::Status Caught(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), std::string(e.status().message()));
    return e.status();
  } catch (const std::exception& e) {
    return absl::InternalError(e.what());
  }
  return absl::OkStatus();
}

// Records the call with placeholders. A mistake that shows in types and shapes ends here.
struct Recorded {
  Graph graph;
  absl::Status status;
  Session::Feeds feeds;
  Tensor out;
};
Recorded Record(const Mistake& m, bool open) {
  Recorded r;
  const GraphScope scope(r.graph);
  Inputs symbols;
  for (size_t i = 0; i < m.in.size(); ++i) {
    Shape shape = m.in[i].shape();
    for (int d = 0; open && d < shape.rank(); ++d) shape.set_dim(d, -1);
    symbols.push_back(Placeholder(m.in[i].dtype(), shape, Str("x", i)));
    r.feeds.emplace_back(Str("x", i), m.in[i]);
  }
  // Nodes before and after, so that there is something to optimise.
  r.status = Caught([&] {
    for (Tensor& s : symbols) s = Identity(s);
    r.out = m.call(symbols);
    r.out = Identity(r.out);
  });
  return r;
}

absl::Status RunIn(const Graph& graph, const Recorded& r, std::vector<std::string> disabled) {
  SessionOptions options;
  options.num_threads = 1;
  options.disabled_passes = std::move(disabled);
  Session session(graph, options);
  return session.Run(r.feeds, {r.out.name()}).status();
}

void Check(const Mistake& m, absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const std::string name = m.name;
  EXPECT_EQ(TextAtLine(Caught([&] { m.call(m.in); }), code), m.text) << name << ", eager";
  for (bool open : {false, true}) {
    Recorded r = Record(m, open);
    const std::string how = Str(name, open ? ", sizes unknown, " : ", sizes known, ");
    if (!r.status.ok()) {
      // With unknown sizes the shapes in the text have question marks.
      if (!open || r.status.message().find('?') == absl::string_view::npos) {
        EXPECT_EQ(TextAtLine(r.status, code), m.text) << how << "recording";
      }
      continue;
    }
    EXPECT_EQ(TextAtLine(RunIn(r.graph, r, {}), code), m.text) << how << "session";
    EXPECT_EQ(TextAtLine(RunIn(r.graph, r, {"fusion", "inline"}), code), m.text)
        << how << "session without fusion";
    const auto bytes = SerializeGraph(r.graph);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto again = ParseGraph(*bytes), parsed = Graph::FromText(r.graph.ToText());
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(TextAtLine(RunIn(*again, r, {}), code), m.text) << how << "reloaded from protobuf";
    EXPECT_EQ(TextAtLine(RunIn(*parsed, r, {}), code), m.text) << how << "reloaded from text";
  }
}

const Tensor f23 = Ones({2, 3}), f45 = Ones({4, 5}), f4 = Ones({4}), f3 = Ones({3});
const Tensor i23 = Ones({2, 3}, kInt32), d23 = Ones({2, 3}, kFloat64), b3 = Ones({3}, kBool);
const Tensor u3 = Ones({3}, kUInt8), scalar = Ones({});

TEST(ErrorTextTest, Shapes) {
  Check({"inner sizes",
         {f23, f45},
         [](const Inputs& x) { return L = Here(), MatMul(x[0], x[1]); },
         "MatMul: found shapes [2,3] and [4,5], whose inner sizes 3 and 4 differ"});
  Check({"matrices",
         {f23, f3},
         [](const Inputs& x) { return L = Here(), MatMul(x[0], x[1]); },
         "MatMul: found shapes [2,3] and [3], expected two matrices (rank 2); use Reshape or "
         "ExpandDims"});
  Check({"broadcast",
         {f23, f4},
         [](const Inputs& x) { return L = Here(), x[0] + x[1]; },
         "Add: shapes [2,3] and [4] do not broadcast: sizes must be equal or 1, counted from the "
         "right"});
  Check({"select",
         {b3, f4, f4},
         [](const Inputs& x) { return L = Here(), Select(x[0], x[1], x[2]); },
         "Select: shapes [3] and [4] do not broadcast: sizes must be equal or 1, counted from the "
         "right"});
  Check({"reshape",
         {f23},
         [](const Inputs& x) { return L = Here(), Reshape(x[0], {4}); },
         "Reshape: a tensor of shape [2,3] has 6 elements, which do not fit shape [4]"});
  Check({"reshape two",
         {f23},
         [](const Inputs& x) {
           return L = Here(), Reshape(x[0], {-1, -1});
         },
         "Reshape: found shape [?,?] with more than one -1; give all sizes but one"});
  Check({"transpose",
         {f23},
         [](const Inputs& x) { return L = Here(), Transpose(x[0], {0}); },
         "Transpose: perm has 1 elements, expected one for each dimension of shape [2,3]"});
  Check({"transpose twice",
         {f23},
         [](const Inputs& x) {
           return L = Here(), Transpose(x[0], {1, 1});
         },
         "Transpose: perm names dimension 1 twice"});
  Check({"squeeze",
         {f23},
         [](const Inputs& x) { return L = Here(), Squeeze(x[0], {0}); },
         "Squeeze: dimension 0 of shape [2,3] has size 2, expected 1"});
  Check({"expand",
         {f23},
         [](const Inputs& x) { return L = Here(), ExpandDims(x[0], 4); },
         "ExpandDims: axis is 4, expected a value in [-3, 3) for a tensor of rank 3"});
  Check({"broadcast to",
         {f23},
         [](const Inputs& x) {
           return L = Here(), BroadcastTo(x[0], {2, 4});
         },
         "BroadcastTo: shape [2,3] does not broadcast to [2,4]: sizes must be equal or 1, counted "
         "from the right"});
  Check(
      {"concat",
       {f23, f45},
       [](const Inputs& x) {
         return L = Here(), Concat({x[0], x[1]}, 0);
       },
       "Concat: found shapes [2,3] and [4,5] (input 1), expected equal sizes except along axis 0"});
  Check({"concat ranks",
         {f23, f3},
         [](const Inputs& x) {
           return L = Here(), Concat({x[0], x[1]}, 0);
         },
         "Concat: found shapes [2,3] and [3] (input 1), expected equal ranks"});
  Check({"slice",
         {f23},
         [](const Inputs& x) {
           return L = Here(), Slice(x[0], {0, 2}, {2, 2});
         },
         "Slice: dimension 1 of shape [2,3] has no part that begins at 2 with size 2"});
  Check(
      {"labels",
       {f23, i23},
       [](const Inputs& x) { return L = Here(), SparseSoftmaxCrossEntropyWithLogits(x[0], x[1]); },
       "SparseSoftmaxCrossEntropyWithLogits: found labels of shape [2,3] beside logits of shape "
       "[2,3], expected one label a row: [2]"});
  Check({"softmax",
         {scalar},
         [](const Inputs& x) { return L = Here(), Softmax(x[0]); },
         "Softmax: found a scalar, expected a tensor whose last dimension is the classes"});
}

TEST(ErrorTextTest, Axes) {
  Check({"axis",
         {f23},
         [](const Inputs& x) { return L = Here(), Sum(x[0], {2}); },
         "Sum: axis is 2, expected a value in [-2, 2) for a tensor of rank 2"});
  Check({"axis twice",
         {f23},
         [](const Inputs& x) {
           return L = Here(), Mean(x[0], {1, -1});
         },
         "Mean: axis 1 is given twice"});
  Check({"argmax",
         {f23},
         [](const Inputs& x) { return L = Here(), ArgMax(x[0], -3); },
         "ArgMax: axis is -3, expected a value in [-2, 2) for a tensor of rank 2"});
  Check({"gather axis",
         {f23, i23},
         [](const Inputs& x) { return L = Here(), Gather(x[0], x[1], 2); },
         "Gather: axis is 2, expected a value in [-2, 2) for a tensor of rank 2"});
}

TEST(ErrorTextTest, DTypes) {
  Check({"mixed",
         {f23, i23},
         [](const Inputs& x) { return L = Here(), x[0] * x[1]; },
         "Mul: inputs must have one dtype, found float32[2,3] and int32[2,3]; convert one of them "
         "with Cast"});
  Check({"wide",
         {f23, d23},
         [](const Inputs& x) { return L = Here(), MatMul(x[0], x[1]); },
         "MatMul: inputs must have one dtype, found float32[2,3] and float64[2,3]; convert one of "
         "them with Cast"});
  Check({"exp",
         {i23},
         [](const Inputs& x) { return L = Here(), Exp(x[0]); },
         "Exp: x must be one of float32, float64, found int32"});
  Check({"div",
         {i23},
         [](const Inputs& x) { return L = Here(), x[0] / 2; },
         "Div: found int32 operands, expected float32 or float64; use FloorDiv for whole numbers, "
         "or Cast them first"});
  Check({"mean",
         {i23},
         [](const Inputs& x) { return L = Here(), Mean(x[0]); },
         "Mean: input must be one of float32, float64, found int32"});
  Check({"and",
         {f23, f23},
         [](const Inputs& x) { return L = Here(), LogicalAnd(x[0], x[1]); },
         "LogicalAnd: x must be bool, found float32"});
  Check({"condition",
         {f23},
         [](const Inputs& x) { return L = Here(), Select(x[0], x[0], x[0]); },
         "Select: condition must be bool, found float32"});
  Check({"indices",
         {f23, f3},
         [](const Inputs& x) { return L = Here(), Gather(x[0], x[1]); },
         "Gather: indices must be one of int32, int64, found float32"});
  Check({"too large",
         {u3},
         [](const Inputs& x) { return L = Here(), x[0] + 300; },
         "Add: the number 300 stands beside a uint8 tensor, and uint8 cannot hold it; Cast the "
         "tensor, or write the number as a Constant of its own dtype"});
  Check({"fraction",
         {i23},
         [](const Inputs& x) { return L = Here(), x[0] * 1.5; },
         "Mul: the number 1.5 stands beside a int32 tensor, and int32 cannot hold it; Cast the "
         "tensor, or write the number as a Constant of its own dtype"});
  Check({"negative",
         {u3},
         [](const Inputs& x) { return L = Here(), Maximum(x[0], -1); },
         "Maximum: the number -1 stands beside a uint8 tensor, and uint8 cannot hold it; Cast the "
         "tensor, or write the number as a Constant of its own dtype"});
  Check({"bool",
         {f3},
         [](const Inputs& x) { return L = Here(), x[0] + true; },
         "Add: the number true stands beside a float32 tensor, and float32 cannot hold it; Cast "
         "the tensor, or write the number as a Constant of its own dtype"});
}

// Mistakes in elements: found when the values are there, in every mode.
TEST(ErrorTextTest, Elements) {
  const Tensor zero = Constant({2, 0, 1}), seven = Constant({7, 7, 7});
  Check({"division",
         {seven, zero},
         [](const Inputs& x) { return L = Here(), FloorDiv(x[0], x[1]); },
         "FloorDiv: division by zero: the divisor, int32[3], is 0 at element 1; use Select to put "
         "another number there"});
  // In the middle of a chain that is one kernel.
  Check({"fused division",
         {seven, zero},
         [](const Inputs& x) {
           const Tensor a = x[0] * 3 + 1, b = x[1] * 2;
           return L = Here(), (a % b) * 5 - 2;
         },
         "FloorMod: division by zero: the divisor, int32[3], is 0 at element 1; use Select to put "
         "another number there"});
  Check(
      {"power",
       {seven, Constant({1, -2, 3})},
       [](const Inputs& x) { return L = Here(), Pow(x[0], x[1]); },
       "Pow: integers have no negative powers: the exponent is -2 at element 1; Cast to a floating "
       "dtype first"});
  Check({"gather",
         {f23, Constant({0, 2})},
         [](const Inputs& x) { return L = Here(), Gather(x[0], x[1]); },
         "Gather: indices[1] is 2, expected a position in [0, 2)"});
  Check(
      {"labels",
       {f23, Constant({0, 3})},
       [](const Inputs& x) { return L = Here(), SparseSoftmaxCrossEntropyWithLogits(x[0], x[1]); },
       "SparseSoftmaxCrossEntropyWithLogits: labels[1] is 3, expected a class in [0, 3)"});
  Check({"sizes",
         {Constant({2, -3})},
         [](const Inputs& x) { return L = Here(), Zeros(x[0]); },
         "Fill: shape [2,-3] has the negative size -3"});
}

TEST(ErrorTextTest, MakingTensors) {
  const auto text = [](const std::function<void()>& call) {
    return TextAtLine(Caught(call), absl::StatusCode::kInvalidArgument);
  };
  EXPECT_EQ(text([] {
              L = Here(), Constant({{1, 2}, {3}});
            }),
            "Constant: the braces are ragged: 2 and 1 items at depth 2");
  EXPECT_EQ(text([] {
              L = Here(), Constant({1, 300}, kUInt8);
            }),
            "Constant: uint8 cannot hold 300");
  EXPECT_EQ(text([] {
              L = Here(), Constant(std::vector<float>{1, 2}, {3});
            }),
            "Constant: found 2 values for shape [3], expected 3");
  EXPECT_EQ(text([] { L = Here(), Concat({}, 0); }),
            "Concat: found no tensors, expected one or more");
  EXPECT_EQ(text([] { L = Here(), Range(0, 5, -1); }),
            "Range: from 0 in steps of -1 never reaches 5; change the sign of delta");
  EXPECT_EQ(text([] { L = Here(), RandomUniform({2}, kInt32); }),
            "RandomUniform: found dtype int32, expected float32 or float64");
  EXPECT_EQ(text([] { L = Here(), Ones({2, -1}); }), "Fill: shape [2,-1] has the negative size -1");
  EXPECT_EQ(text([] { L = Here(), OneHot(Constant({1}), -2); }),
            "OneHot: depth is -2, expected 0 or more");
}

TEST(ErrorTextTest, Tapes) {
  const auto integer_target = [] {
    GradientTape tape;
    const Tensor x = Ones({3});
    tape.Watch(x);
    L = Here(), tape.Gradient(Constant(1), x);
  };
  EXPECT_EQ(TextAtLine(Caught(integer_target), absl::StatusCode::kInvalidArgument),
            "GradientTape::Gradient: the target must be a float32 or float64 tensor, found int32");
  const auto second_gradient = [] {
    GradientTape tape;
    const Tensor x = Ones({3});
    tape.Watch(x);
    const Tensor y = Sum(x);
    tape.Gradient(y, x);
    L = Here(), tape.Gradient(y, x);
  };
  EXPECT_EQ(TextAtLine(Caught(second_gradient), absl::StatusCode::kFailedPrecondition),
            "GradientTape::Gradient: a plain tape gives one gradient and was asked for a second; "
            "make it GradientTape tape(GradientTape::kPersistent), or ask for all sources at once");
  const auto undefined_source = [] {
    GradientTape tape;
    const Tensor x = Ones({3});
    tape.Watch(x);
    const Tensor y = Sum(x);
    L = Here(), tape.Gradient(y, {x, Tensor()});
  };
  EXPECT_EQ(TextAtLine(Caught(undefined_source), absl::StatusCode::kInvalidArgument),
            "GradientTape::Gradient: source 1 is an undefined tensor; give what the target depends "
            "on");
  const auto watch_integers = [] {
    GradientTape tape;
    L = Here(), tape.Watch(Constant(1));
  };
  EXPECT_EQ(TextAtLine(Caught(watch_integers), absl::StatusCode::kInvalidArgument),
            "GradientTape::Watch: a watched tensor must be float32 or float64, found int32; Cast "
            "it first");
}

// What fails in the gradient of a call is reported at the line of the call, not of Gradient().
TEST(ErrorTextTest, InsideGradients) {
  Graph graph;
  Tensor g;
  {
    const GraphScope scope(graph);
    const Tensor x = Placeholder(kFloat32, {-1}, "x"), y = Placeholder(kFloat32, {-1}, "y");
    GradientTape tape;
    tape.Watch(x);
    const Tensor z = Square(x);
    L = Here();
    const Tensor loss = Sum(Gather(z, Cast(y, kInt32)));
    g = tape.Gradient(loss, x);
  }
  L += 1;
  Session session(graph);
  const absl::Status status =
      session.Run({{"x", Ones({3})}, {"y", Constant({0., 7.})}}, {g}).status();
  EXPECT_EQ(TextAtLine(status, absl::StatusCode::kInvalidArgument),
            "Gather: indices[1] is 7, expected a position in [0, 3)");
}

TEST(ErrorTextTest, UndefinedTensors) {
  const auto text = [](const std::function<void()>& call, absl::StatusCode code) {
    return TextAtLine(Caught(call), code);
  };
  const Tensor none;
  EXPECT_EQ(text([&] { L = Here(), Add(none, 1); }, absl::StatusCode::kInvalidArgument),
            "Add: input 0 is undefined: it was default-constructed, or is the gradient of a source "
            "that the target does not depend on");
  EXPECT_EQ(text([&] { L = Here(), none.Item<float>(); }, absl::StatusCode::kFailedPrecondition),
            "Tensor: this tensor is undefined: it was default-constructed, or is the gradient of a "
            "source that the target does not depend on");
}

TEST(ErrorTextTest, ReadingElements) {
  const auto text = [](const std::function<void()>& call) {
    return TextAtLine(Caught(call), absl::StatusCode::kInvalidArgument);
  };
  EXPECT_EQ(text([] { L = Here(), f23.data<int32_t>(); }),
            "Tensor: the elements are float32, read as int32; use the same type, or Cast first");
  EXPECT_EQ(text([] { L = Here(), f23.Item<float>(); }),
            "Tensor: Item needs one element, found shape [2,3]; use data() or ToVector()");
  EXPECT_EQ(text([] { L = Here(), f3.ToBool(); }),
            "Tensor: a condition needs a tensor of shape [], found [3]; reduce it first, for "
            "instance with Max");
}

}  // namespace
}  // namespace duet::testing
