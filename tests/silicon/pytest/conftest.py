# SPDX-License-Identifier: Apache-2.0


def pytest_addoption(parser):
    parser.addoption(
        "--destroy",
        default="",
        metavar="yes",
        help="yes: the part may be written to where only an ERASEALL erases",
    )
    parser.addoption(
        "--cuts",
        default="",
        help="resets in the procedure, in cycles: --cuts='3000000 9000000'",
    )
    parser.addoption("--expect", default="", help="a line that must come")
