#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Prints the secrets of a modelled nRF5340 as lines of hexadecimal digits, by its device file $1 and its console on
standard input: the four slots of its HUKs, its private identity key, and the number k of its record's signature.
None of this project's code takes part: SP 800-108 with CMAC, and AES, are those of the package cryptography."""

import base64
import re
import sys
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import cmac, hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# SEC 2, section 2.4.2.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def slot(page, number):
    return page[0x800 + 16 * number : 0x810 + 16 * number]


def identity_key(page):
    """The private key, as the model has encrypted it under the MKEK of an nRF5340."""
    mkek = slot(page, 2) + slot(page, 3)
    wrapping = b""
    for counter in (1, 2):
        mac = cmac.CMAC(algorithms.AES(mkek))
        mac.update(bytes([counter]) + b"identity-key" + b"\0" + (256).to_bytes(2, "big"))
        wrapping += mac.finalize()
    decryptor = Cipher(algorithms.AES(wrapping), modes.ECB()).decryptor()
    return decryptor.update(slot(page, 6) + slot(page, 7)) + decryptor.finalize()


def nonce_of_signature(record, key):
    """The k of ECDSA (FIPS 186-5, section 6.4.1), which only the owner of the key can find out."""
    token, _ = cbor2.loads(base64.urlsafe_b64decode(record + "=" * (-len(record) % 4)))
    protected, _, payload, signature = token.value
    hashed = hashes.Hash(hashes.SHA256())
    hashed.update(cbor2.dumps(["Signature1", protected, b"", payload]))
    z, d = (int.from_bytes(value, "big") for value in (hashed.finalize(), key))
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    k = (z + r * d) * pow(s, -1, ORDER) % ORDER
    point = ec.derive_private_key(k, ec.SECP256R1()).public_key().public_numbers()
    assert point.x % ORDER == r, "this is not k"
    return k.to_bytes(32, "big")


def main():
    page = Path(sys.argv[1]).read_bytes()
    record = re.search("Provisioning record: ([A-Za-z0-9_-]+)", sys.stdin.read())[1]
    key = identity_key(page)
    for secret in [*(slot(page, number) for number in (2, 3, 4, 5)), key, nonce_of_signature(record, key)]:
        print(secret.hex())


main()
