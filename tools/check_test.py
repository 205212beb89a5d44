#!/usr/bin/env python3
"""Tests of tools/check and tools/count_tests.py on small trees made for the purpose."""

import importlib.machinery
import importlib.util
import os
import shutil
import sys
import tempfile
import unittest
import xml.sax.saxutils

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))


def load(name, file):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(HERE, file))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


check = load("check", "check")
count_tests = load("count_tests", "count_tests.py")


class TreeTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        os.environ["XDG_CACHE_HOME"] = os.path.join(self.root, "cache")

    def tree(self, files):
        for path, text in files.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w") as f:
                f.write(text)
        return check.Tree(self.root, files)

    def found(self, rule, files):
        return [(f.path, f.line) for f in check.CHECKS[rule](self.tree(files))]


class Layers(TreeTest):
    def test_left_is_allowed(self):
        self.assertEqual([], self.found("layers", {
            "compiler/a.cc": '#include "graph/g.h"\n#include "core/loop/p.h"\n#include <vector>\n#include "absl/a.h"\n',
            "runtime/b.cc": '#include "compiler/llvm/e.h"\n#include "eager/e.h"\n',
            "tests/c.cc": '#include "proto/graph.pb.h"\n#include "duet.h"\n',
            "duet.h": '#include "nn/layer.h"\n',
        }))

    def test_right_is_refused(self):
        for path, target in (("core/a.h", "eager/e.h"), ("core/ops/a.cc", "graph/g.h"), ("eager/a.h", "graph/g.h"),
                             ("graph/a.h", "eager/e.h"), ("graph/a.h", "compiler/p.h"), ("compiler/a.h", "runtime/s.h"),
                             ("runtime/a.h", "nn/l.h"), ("nn/a.h", "io/i.h"), ("io/a.h", "tools/t.h"),
                             ("core/a.h", "duet.h"), ("compiler/a.cc", "tests/t.h")):
            with self.subTest(path=path, target=target):
                self.assertEqual([(path, 2)], self.found("layers", {path: f'// x\n#include "{target}"\n'}))

    def test_comments_are_not_includes(self):
        self.assertEqual([], self.found("layers", {
            "core/a.h": '// #include "graph/g.h"\n/*\n#include "graph/g.h"\n*/\n'}))

    def test_libraries_stay_at_home(self):
        self.assertEqual([("compiler/p.cc", 1)], self.found("layers", {
            "compiler/llvm/e.cc": '#include "llvm/IR/Module.h"\n', "compiler/p.cc": '#include "llvm/IR/Module.h"\n'}))
        self.assertEqual([("core/t.cc", 1)], self.found("layers", {
            "core/t.cc": "#include <google/protobuf/any.pb.h>\n", "graph/t.cc": '#include "proto/graph.pb.h"\n'}))
        self.assertEqual([("core/d.cc", 1)], self.found("layers", {"core/d.cc": "#include <cuda.h>\n"}))


class Public(TreeTest):
    def test_reports_the_chain(self):
        tree = self.tree({"duet.h": '#include "core/a.h"\n', "core/a.h": '#include "core/b.h"\n',
                          "core/b.h": "\n#include <Eigen/Dense>\n", "core/c.h": "#include <Eigen/Dense>\n"})
        found = list(check.check_public(tree))
        self.assertEqual([("core/b.h", 2)], [(f.path, f.line) for f in found])
        self.assertIn("Eigen/Dense <- core/b.h <- core/a.h <- duet.h", found[0].text)

    def test_all_libraries(self):
        for header in ("dnnl.hpp", "cuda_runtime.h", "llvm/IR/Module.h", "google/protobuf/arena.h", "proto/graph.pb.h"):
            with self.subTest(header=header):
                self.assertEqual([("duet.h", 1)], self.found("public", {"duet.h": f'#include "{header}"\n'}))

    def test_nn_uses_public_headers(self):
        self.assertEqual([("nn/l.cc", 2)], self.found("public", {
            "duet.h": '#include "core/a.h"\n', "core/a.h": "", "core/b.h": "",
            "nn/l.cc": '#include "core/a.h"\n#include "core/b.h"\n'}))


class OpNames(TreeTest):
    OPS = {"core/ops/unary.cc": 'auto& neg = Unary("Neg", {.doc = "Minus"});\nconst T t = Binary(\n    "AddV2", x);\n'
                                'auto a = GetAttr("DstT");\n// Fake("Commented")\n'}

    def test_finds_definitions(self):
        self.assertEqual({"Neg", "AddV2"}, check.op_names(self.tree(self.OPS)))

    def test_refuses_names_elsewhere(self):
        self.assertEqual([("compiler/p.cc", 2)], self.found("op_names", {
            **self.OPS, "compiler/p.cc": '// "AddV2"\nif (op.name == "AddV2") {}\nprint("AddV2 of 2");\n'}))

    def test_exempts(self):
        self.assertEqual([], self.found("op_names", {
            **self.OPS, "compiler/p_test.cc": '"AddV2"\n', "tests/t.cc": '"AddV2"\n', "core/ops/b.cc": '"AddV2"\n',
            "examples/e.cc": '"AddV2"\n', "graph/g.cc": 'x = "Neg";  // NOLINT(op-name): a file format\n'}))


class Length(TreeTest):
    def test_warns_only(self):
        found = list(check.check_length(self.tree({"core/a.cc": "\n" * 601, "core/b.cc": "\n" * 600})))
        self.assertEqual(["core/a.cc"], [f.path for f in found])
        self.assertTrue(found[0].text.startswith("warning:"))


@unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
class Format(TreeTest):
    def test_refuses_unformatted(self):
        files = {".clang-format": "BasedOnStyle: Google\n", "core/a.cc": "int a;\n", "core/b.cc": "int a;\nint  b ;\n"}
        self.assertEqual([("core/b.cc", 2)], self.found("format", files))
        self.assertEqual([("core/b.cc", 2)], self.found("format", files), "good files are remembered, bad ones are not")


class Headers(TreeTest):
    def test_refuses_what_does_not_compile_alone(self):
        files = {"core/a.h": "inline int f() { return 1; }\n", "core/b.h": '#include "core/a.h"\nstd::string g();\n',
                 "core/c.h": '#include <string>\nstd::string g();\n'}
        self.assertEqual([("core/b.h", 1)], self.found("headers", files))
        self.assertEqual([("core/b.h", 1)], self.found("headers", files))

    def test_a_change_below_is_seen(self):
        self.assertEqual([], self.found("headers", {"core/a.h": "struct A {};\n", "core/b.h": '#include "core/a.h"\nA f();\n'}))
        self.assertEqual([("core/b.h", 1)], self.found(
            "headers", {"core/a.h": "struct B {};\n", "core/b.h": '#include "core/a.h"\nA f();\n'}))

    def test_its_own_source_proves_a_header(self):
        tree = self.tree({"core/a.h": "", "core/a.cc": '#include "core/a.h"\n#include <vector>\n',
                          "core/b.h": "", "core/b.cc": '#include <vector>\n#include "core/b.h"\n'})
        self.assertTrue(check.proven_by_source(tree, "core/a.h"))
        self.assertFalse(check.proven_by_source(tree, "core/b.h"))


class Repository(TreeTest):
    def test_ignored_files_are_not_checked(self):
        if not shutil.which("git"):
            self.skipTest("git is not installed")
        self.tree({".gitignore": "out/\n", "core/a.h": "", "out/b.h": "", "core/new.h": ""})
        check.output_of(["git", "init", "-q"], cwd=self.root)
        check.output_of(["git", "add", "core/a.h", ".gitignore"], cwd=self.root)
        self.assertEqual([".gitignore", "core/a.h", "core/new.h"], sorted(check.tracked_files(self.root)))


class Counts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def target(self, label, status, cases=None):
        events = [{"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "SMALL"}}]
        if status is None:
            return events + [{"id": {"targetCompleted": {"label": label}}, "completed": {}}]
        events.append({"id": {"targetCompleted": {"label": label}}, "completed": {"success": True}})
        if cases is not None:
            path = os.path.join(self.folder, label.replace("/", "_") + ".xml")
            with open(path, "w") as f:
                f.write(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
            events.append({"id": {"testResult": {"label": label, "run": 1}},
                           "testResult": {"testActionOutput": [{"name": "test.xml", "uri": "file://" + path}]}})
        return events + [{"id": {"testSummary": {"label": label}}, "testSummary": {"overallStatus": status}}]

    GOOD = '<testcase name="a" status="run" result="completed"/>'
    BAD = '<testcase name="b"><failure message="x"/><failure message="y"/></testcase>'
    OFF = '<testcase name="c" status="notrun"/><testcase name="d" status="run" result="skipped"/>'

    def test_sums_cases(self):
        events = self.target("//a:t", "PASSED", self.GOOD * 3) + self.target("//b:t", "FAILED", self.GOOD + self.BAD + self.OFF)
        self.assertEqual((4, 1, 2, []), count_tests.count(events, 3))

    def test_broken_targets_are_failures(self):
        events = self.target("//a:t", None) + self.target("//b:t", "TIMEOUT") + self.target("//c:t", "FAILED", self.GOOD)
        passed, failed, _, complaints = count_tests.count(events, 1)
        self.assertEqual((1, 3), (passed, failed))
        self.assertEqual(["//b:t: TIMEOUT", "//c:t: FAILED", "//a:t: did not build"], complaints)

    def test_a_target_that_never_ran_is_a_failure(self):
        configured = {"id": {"targetConfigured": {"label": "//a:t"}}, "configured": {"testSize": "SMALL"}}
        self.assertEqual((0, 1, 0, ["//a:t: did not run"]), count_tests.count([configured], 0))

    def test_a_run_that_broke_is_a_failure(self):
        self.assertEqual(1, count_tests.count([], 1)[1])
        self.assertEqual(1, count_tests.count([], 37)[1])
        self.assertEqual(0, count_tests.count([], 4)[1])


class XmlResult(unittest.TextTestResult):
    """Also writes one <testcase> a case to Bazel's XML_OUTPUT_FILE, so that cases are counted, not files."""

    cases = []

    def stopTest(self, test):
        super().stopTest(test)
        bad = any(t is test or getattr(t, "test_case", None) is test for t, _ in self.failures + self.errors)
        off = any(t is test for t, _ in self.skipped)
        body = "<failure/>" if bad else "<skipped/>" if off else ""
        self.cases.append(f"<testcase name={xml.sax.saxutils.quoteattr(test.id())}>{body}</testcase>")

    def stopTestRun(self):
        super().stopTestRun()
        if os.environ.get("XML_OUTPUT_FILE"):
            with open(os.environ["XML_OUTPUT_FILE"], "w") as out:
                out.write("<testsuites><testsuite>%s</testsuite></testsuites>" % "".join(self.cases))


if __name__ == "__main__":
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=XmlResult))
