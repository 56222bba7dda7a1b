#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Programs what the SDK's own provision.py ($1) makes for NSIB into the modelled part in the device file $2, whose
OTP begins at the address $3, as a debugger does: erased halfwords only. Prints the lines in which tests/tfm shows what
bl_storage then must find."""

import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from intelhex import IntelHex

UICR = 0xFF8000
S0, S1, COUNTER_SLOTS = 0x9000, 0x18000, 4


def key_hash(numbers):
    """What NSIB compares: the first half of SHA-256 of the point."""
    return sha256(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")).digest()[:16]


def make_key(seed):
    """A key from a number, whose hash has no halfword of ones: provision.py refuses those."""
    key = ec.derive_private_key(seed, ec.SECP256R1()).public_key()
    assert b"\xff\xff" not in key_hash(key.public_numbers())
    return key


def main():
    script, device, otp = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3], 16)
    keys = [make_key(seed) for seed in (11, 12)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.pem") for number in range(len(keys))]
        for file, key in zip(files, keys):
            encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            file.write_bytes(key.public_bytes(encoding, form))
        output = Path(folder, "provision.hex")
        options = {
            "--s0-addr": hex(S0),
            "--s1-addr": hex(S1),
            "--provision-addr": hex(otp),
            "--max-size": "0x2F4",
            "--num-counter-slots-version": str(COUNTER_SLOTS),
            "--public-key-files": ",".join(map(str, files)),
            "--output": str(output),
        }
        arguments = [text for option in options.items() for text in option]
        subprocess.run([sys.executable, script, *arguments], check=True)
        image = IntelHex(str(output)).todict()

    page = bytearray(device.read_bytes())
    for address in sorted(address for address in image if address % 2 == 0):
        at, value = address - UICR, bytes((image[address], image[address + 1]))
        if value != b"\xff\xff":
            assert page[at : at + 2] == b"\xff\xff", f"{address:#x} is taken"
            page[at : at + 2] = value
    device.write_bytes(page)

    print(f"bl_storage: s0 {S0:#010x}, s1 {S1:#010x}, {len(keys)} keys, {COUNTER_SLOTS} counter slots, counter 0")
    for number, key in enumerate(keys):
        print(f"bl_storage: key {number} {key_hash(key.public_numbers()).hex()}")


main()
