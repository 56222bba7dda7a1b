# SPDX-License-Identifier: Apache-2.0

"""Answers the test's question, and waits for its end. The console stays in Twister's handler.log."""

import re

import pytest
from twister_harness import DeviceAdapter

QUESTION = "Type yes and Enter"
COUNTS = re.compile(r"checks: (\d+), of which (\d+) as predicted, (\d+) DIFFER, .*, (\d+) not run$")


def test_assumptions(dut: DeviceAdapter, request: pytest.FixtureRequest):
    lines = dut.readlines_until(regex=f"{QUESTION}|Nothing was written", timeout=60)
    assert QUESTION in lines[-1], "the part was not blank: erase it first"
    if request.config.getoption("--destroy") != "yes":
        dut.write(b"no\n")
        pytest.fail(
            "Nothing was written. This test destroys what is on the part: give --pytest-args=--destroy=yes "
            "for a part that you can lose."
        )
    dut.write(f"yes {request.config.getoption('--cuts')}".rstrip().encode() + b"\n")
    lines = dut.readlines_until(regex="silicon: end$", timeout=300)
    counts = next(filter(None, map(COUNTS.search, lines)))
    # What differs is a finding, and for cargo xtask silicon-report. What the procedure relies on must not.
    assert counts[3] == "0", counts[0]
    expected = request.config.getoption("--expect")
    assert any(expected in line for line in lines), f"no line has: {expected}"
