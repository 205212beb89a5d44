#!/usr/bin/env python3
"""Counts test cases of a `bazel test` run from its build event file (--build_event_json_file).

    count_tests.py EVENTS BAZEL_EXIT_CODE        prints 'passed failed skipped'

A case is one <testcase> of a target's test.xml. A target that did not build, crashed or timed out counts as a failed
case; so does a run that failed without naming a target.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

# Exit codes of bazel under which its list of test results is complete: all passed, some failed to build, some failed,
# no test to run.
COMPLETE = (0, 1, 3, 4)


def cases_in(path):
    """(passed, failed, skipped) of one test.xml."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed") or \
                case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def count(events, exit_code):
    """(passed, failed, skipped, complaints) of a run."""
    expected, summary, unbuilt, xml = set(), {}, set(), {}
    for event in events:
        ident = event.get("id", {})
        if "targetConfigured" in ident and event.get("configured", {}).get("testSize"):
            expected.add(ident["targetConfigured"]["label"])
        elif "targetCompleted" in ident and not event.get("completed", {}).get("success"):
            unbuilt.add(ident["targetCompleted"]["label"])
        elif "testResult" in ident:
            for output in event.get("testResult", {}).get("testActionOutput", []):
                if output.get("name") == "test.xml":
                    key = (ident["testResult"]["label"], ident["testResult"].get("shard", 0), ident["testResult"].get("run", 0))
                    xml[key] = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
        elif "testSummary" in ident:
            summary[ident["testSummary"]["label"]] = event["testSummary"].get("overallStatus", "NO_STATUS")

    passed = failed = skipped = 0
    complaints = []
    failed_in = dict.fromkeys(summary, 0)
    for (label, _, _), path in sorted(xml.items()):
        try:
            p, f, s = cases_in(path)
        except (OSError, ElementTree.ParseError) as error:
            complaints.append(f"{label}: no test.xml to read ({error})")
            p, f, s = 0, 1, 0
        passed, failed, skipped = passed + p, failed + f, skipped + s
        failed_in[label] = failed_in.get(label, 0) + f
    for label, status in sorted(summary.items()):
        if status not in ("PASSED", "FLAKY") and not failed_in[label]:
            complaints.append(f"{label}: {status}")
            failed += 1
    for label in sorted(unbuilt - set(summary)):
        complaints.append(f"{label}: did not build")
        failed += 1
    for label in sorted(expected - set(summary) - unbuilt):
        complaints.append(f"{label}: did not run")
        failed += 1
    if exit_code not in COMPLETE or (exit_code in (1, 3) and not failed):
        complaints.append(f"bazel exited with {exit_code}")
        failed += 1
    return passed, failed, skipped, complaints


def main():
    try:
        with open(sys.argv[1], encoding="utf-8") as lines:
            events = [json.loads(line) for line in lines if line.strip()]
    except OSError:
        events = []
    passed, failed, skipped, complaints = count(events, int(sys.argv[2]))
    for line in complaints:
        print("FAILED " + line, file=sys.stderr)
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
