# SPDX-License-Identifier: Apache-2.0
"""One test of libiscsi's iscsi-test-cu in a process of its own, and what its output means."""

import os
import re
import signal
import subprocess

PASS, FAIL, SKIP = "pass", "fail", "skip"

# Tests that wait for reconnects and timeouts of libiscsi by design.
SLOW = {"iSCSIcmdsn", "Reserve6", "PreventAllow", "ProutReserve", "MultipathIO", "Sanitize"}
TIME_LIMIT, SLOW_TIME_LIMIT = 60, 120  # seconds: a hang, however busy the machine is

# What iscsi-test-cu logs next, some versions with the time, comes on the line of the last one.
ASSERT_LINE = re.compile(r"^\s*\d+\. (\S+):(\d+)\s+- (.*?)(?:    .*)?$", re.M)
SUMMARY = re.compile(r"^\s+tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+\d+\s*$\n"
                     r"^\s+asserts\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", re.M)


def list_tests(program):
    """Names as ALL.Suite.Test."""
    out = subprocess.run([program, "-l"], capture_output=True, text=True, check=True)
    names = [line.strip() for line in out.stdout.splitlines()]
    return [name for name in names if re.fullmatch(r"ALL\.[^.]+\.[^.]+", name)]


class Outcome:
    def __init__(self, name, verdict, reason, output, asserts=(), crashed=False):
        self.name, self.verdict, self.reason = name, verdict, reason
        self.output = output
        self.asserts = list(asserts)  # expressions that failed
        self.crashed = crashed        # iscsi-test-cu itself, by a signal

    @property
    def suite(self):
        return self.name.split(".")[1]


def time_limit(name):
    return SLOW_TIME_LIMIT if name.split(".")[1] in SLOW else TIME_LIMIT


def run_test(program, name, url):
    """The URL is given twice: MultipathIO and the tests with two initiators need two paths."""
    argv = [program, "-d", "-S", "-V", "-f", "-t", name, url, url]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            raw, _ = process.communicate(timeout=time_limit(name))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raw, _ = process.communicate()
            return Outcome(name, FAIL, f"no end after {time_limit(name)} s",
                           raw.decode(errors="replace"))
    return judge(name, process.returncode, raw.decode(errors="replace"))


def judge(name, code, output):
    """
    CUnit counts a skipped test as passed, in its summary and in the exit status: what was skipped
    is known from [SKIPPED] in the output only, and some tests skip without even that.
    """
    summary = SUMMARY.search(output)
    asserts = [match.group(3).strip() for match in ASSERT_LINE.finditer(output)]
    if not summary:
        return Outcome(name, FAIL, f"no summary (exit status {code}): {last_line(output)}", output,
                       asserts, crashed=code < 0)
    _, ran, _, failed, _, _, _, asserts_failed = map(int, summary.groups())
    if ran != 1:
        return Outcome(name, FAIL, f"{ran} tests ran instead of one", output)
    if failed or asserts_failed or code:
        places = [f"{m.group(1)}:{m.group(2)} {m.group(3).strip()}"
                  for m in ASSERT_LINE.finditer(output)]
        return Outcome(name, FAIL, "; ".join(places[:3]) or last_failed(output), output, asserts)
    # Of the test alone: iscsi-test-cu clears reservations before and after it, and says SKIPPED
    # there, too, when there are none.
    body = re.search(r"Test: \S+ \.\.\.(.*?)(?<![^\n.])passed", output, re.S)
    if not body:
        return Outcome(name, FAIL, "no result in the output", output)
    skipped = re.findall(r"\[SKIPPED\]\s*(.*)", body.group(1))
    if skipped:
        return Outcome(name, SKIP, skipped[0].strip(), output)
    if not body.group(1).strip():
        return Outcome(name, SKIP, "skipped without a word: libiscsi's test found the device "
                       "unfit, such as too small a maximum transfer length", output)
    return Outcome(name, PASS, "", output)


def last_line(output):
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def last_failed(output):
    lines = [line.strip() for line in output.splitlines() if "[FAILED]" in line]
    return lines[-1] if lines else last_line(output)
