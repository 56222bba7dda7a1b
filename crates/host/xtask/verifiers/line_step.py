#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""A step of the station, after the run of a part in QEMU: checks what standard input and environment say of the part,
by code that is not the station's, and ends QEMU, whose process ID is in the file $1 while it runs."""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path


def end(pid):
    """QEMU removes the file at its end."""
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    while pid.exists():
        time.sleep(0.01)


def main():
    part = json.load(sys.stdin)
    for name, value in part.items():
        assert os.environ[f"STATION_{name.upper()}"] == str(value), name
    if part["step"] == "on-pass":
        assert part["outcome"] == "good", part["outcome"]
        key = bytes.fromhex(part["public_key"])
        assert part["ueid"] == "01" + hashlib.sha256(key).hexdigest(), "the hash of the public key"
        print(f"label: entry {part['number']}, device {part['device_id']}, by {part['operator']}")
    else:
        assert (part["step"], part["outcome"]) == ("on-fail", "failed"), part
        assert not {"ueid", "number", "hash"} & set(part), "a part that was not entered has no entry"
        print(f"red light: {part['error']}")
    end(Path(sys.argv[1]))


main()
