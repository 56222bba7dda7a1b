#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Provisions NSIB's public key into slot $3 of the modelled nRF54L15 in the device file $2, from the keyfile.json that the
SDK's own generate_psa_key_attributes.py ($1) makes, with the options of `west ncs-provision upload --keyname BL_PUBKEY`.
What `nrfutil device x-provision-keys` does with such a file is not public; here it is what the SDK's documentation says for
production, "Setting up KMU metadata and destination addresses"."""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The device file: the page of UICR, and then each slot as VALUE (4 words), DEST, METADATA, RPOLICY.
KEY_STORE, SLOT = 4096, 28
PUSH_AREA = 0x20000000
# PSA: the public key of Ed25519, VERIFY_MESSAGE and VERIFY_HASH, PureEdDSA.
KEY_TYPE, KEY_BITS, USAGE, ALGORITHM = 0x4142, 255, 0x2800, 0x06000800
# Of kmu_metadata: the usage scheme RAW, Ed25519, 255 bits, verification.
METADATA = 3 << 4 | 40 << 14 | 3 << 20 | 8 << 25
# RPOLICY by the persistence of the key, which is the same in kmu_metadata: read-only, revokable, default.
POLICY = {3: 2, 2: 3, 1: 1}


def keyfile(script, slot, folder):
    """Makes it, and gives its only key: attributes and value."""
    pem, output = folder / "nsib.pem", folder / "keyfile.json"
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    options = {
        "--usage": "VERIFY",
        "--id": slot,
        "--type": "ECC_PUBLIC_KEY_TWISTED_EDWARDS",
        "--key-bits": "255",
        "--algorithm": "EDDSA_PURE",
        "--location": "LOCATION_CRACEN_KMU",
        "--persistence": "PERSISTENCE_READ_ONLY",
        "--cracen-usage": "RAW",
        "--key-from-file": str(pem),
        "--file": str(output),
    }
    arguments = [text for option in options.items() for text in option]
    subprocess.run([sys.executable, script, *arguments], check=True)
    [entry] = json.loads(output.read_text())["keyslots"]
    public_key = key.public_key().public_bytes_raw()
    value = bytes.fromhex(entry["value"].removeprefix("0x"))
    assert value == public_key
    return bytes.fromhex(entry["metadata"].removeprefix("0x")), value


def main():
    device = Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        attributes, value = keyfile(sys.argv[1], sys.argv[3], Path(folder))
    key_type, bits, lifetime, usage, algorithm, _, key_id, _ = struct.unpack("<HHIIIIII", attributes)
    assert (key_type, bits, usage, algorithm) == (KEY_TYPE, KEY_BITS, USAGE, ALGORITHM)
    assert key_id >> 12 == 0x7FFF3, "CRACEN_KMU_KEY_USAGE_SCHEME_RAW"
    policy = POLICY[lifetime & 0xFF]

    store = bytearray(device.read_bytes())
    for index, metadata in enumerate((METADATA | policy << 23, 0xFFFFFFFF)):
        at = KEY_STORE + SLOT * ((key_id & 0xFF) + index)
        assert store[at : at + SLOT] == b"\xff" * SLOT, "the slot is taken"
        words = struct.pack("<III", PUSH_AREA + 16 * index, metadata, policy)
        store[at : at + SLOT] = value[16 * index : 16 * index + 16] + words
    device.write_bytes(store)


main()
