#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Programs what the SDK's own provision.py ($1) makes for NSIB into the modelled part in the device file $2, whose
OTP begins at the address $3, as a debugger does: what is erased only, in halfwords, or in words on an nRF54L15. Prints the
lines in which tests/tfm shows what bl_storage then must find."""

import subprocess
import sys
import tempfile
from hashlib import sha256, sha512
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from intelhex import IntelHex

RRAM = 0xFFD000
S0, S1, COUNTER_SLOTS = 0x9000, 0x18000, 4


def key_hash(key):
    """What NSIB compares: 16 bytes of SHA-256 of the point, or of SHA-512 of the Ed25519 key."""
    if isinstance(key, Ed25519PublicKey):
        return sha512(key.public_bytes_raw()).digest()[:16]
    numbers = key.public_numbers()
    return sha256(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")).digest()[:16]


def make_key(seed, is_rram):
    """A key from a number, whose hash has no halfword of ones: provision.py refuses those."""
    if is_rram:
        key = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32)).public_key()
    else:
        key = ec.derive_private_key(seed, ec.SECP256R1()).public_key()
    assert b"\xff\xff" not in key_hash(key)
    return key


def main():
    script, device, otp = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3], 16)
    uicr = otp & ~0xFFF
    width = 4 if uicr == RRAM else 2
    keys = [make_key(seed, uicr == RRAM) for seed in (11, 12)]
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
        # SDK 2.7 has no such option, and no parts that need it.
        if width != 2:
            options["--otp-write-width"] = str(width)
        arguments = [text for option in options.items() for text in option]
        subprocess.run([sys.executable, script, *arguments], check=True)
        image = IntelHex(str(output)).todict()

    page = bytearray(device.read_bytes())
    erased = b"\xff" * width
    for address in sorted(address for address in image if address % width == 0):
        at, value = address - uicr, bytes(image[address + byte] for byte in range(width))
        if value != erased:
            assert page[at : at + width] == erased, f"{address:#x} is taken"
            page[at : at + width] = value
    device.write_bytes(page)

    print(f"bl_storage: s0 {S0:#010x}, s1 {S1:#010x}, {len(keys)} keys, {COUNTER_SLOTS} counter slots, counter 0")
    for number, key in enumerate(keys):
        print(f"bl_storage: key {number} {key_hash(key).hex()}")


main()
