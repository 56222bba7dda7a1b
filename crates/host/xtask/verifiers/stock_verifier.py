#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Checks the provisioning record in the console on standard input with verifiers that are not this project's:
pycose for the signature, cbor2 for the claims, and the rules of RFC 9783 one by one. With a file as argument the
record must hold that file's SHA-256, which sha256sum prints; without, that of no bytes."""

import base64
import hashlib
import re
import sys
from pathlib import Path

import cbor2
from pycose.algorithms import Es256
from pycose.headers import Algorithm
from pycose.keys import CoseKey
from pycose.messages import CoseMessage, Sign1Message


def items(data):
    """The encoded items of a CBOR array of two, as they stand in it."""
    assert data[0] == 0x82, "an array of two"
    token, key = cbor2.loads(data)
    encoded_key = cbor2.dumps(key, canonical=False)
    assert data.endswith(encoded_key), "the key is the second item"
    return data[1 : -len(encoded_key)], encoded_key, token, key


def main():
    console = sys.stdin.read()
    found = re.findall(r"Provisioning record: ([A-Za-z0-9_-]+)", console)
    assert len(found) == 1, f"{len(found)} records"
    data = base64.urlsafe_b64decode(found[0] + "=" * (-len(found[0]) % 4))
    encoded_token, encoded_key, token, key_map = items(data)

    # Section 5.1.1: a tagged COSE_Sign1, definite lengths only, no CWT tag.
    assert token.tag == 18, "tag 18"
    message = CoseMessage.decode(encoded_token)
    assert isinstance(message, Sign1Message)
    # Section 5.2: ES256 is one of those that a receiver must accept.
    assert message.phdr == {Algorithm: Es256} and message.uhdr == {}, (message.phdr, message.uhdr)
    message.key = CoseKey.decode(encoded_key)
    assert message.verify_signature(), "the signature"
    flipped = bytearray(encoded_token)
    flipped[-1] ^= 1
    message = CoseMessage.decode(bytes(flipped))
    message.key = CoseKey.decode(encoded_key)
    assert not message.verify_signature(), "a flipped bit"

    claims = cbor2.loads(message.payload)
    # RFC 8949, section 1.2 (valid): no key twice. cbor2 keeps the last of two, so the number tells.
    assert message.payload[0] == 0xA0 + len(claims), "a map without duplicates"
    # RFC 8949, section 4.2.1: keys in the order of their encoding.
    assert list(claims) == sorted(claims, key=cbor2.dumps), "sorted keys"
    assert cbor2.dumps(claims) == message.payload, "preferred serialization"

    psa_hash = (32, 48, 64)
    public_key = b"\x04" + key_map[-2] + key_map[-3]
    rules = {
        "4.1.1 nonce: 32, 48 or 64 bytes": isinstance(claims[10], bytes) and len(claims[10]) in psa_hash,
        "4.1.2 client ID: an integer, not 0": isinstance(claims[2394], int) and claims[2394] != 0,
        "4.2.1 instance ID: 33 bytes that begin with 0x01": len(claims[256]) == 33 and claims[256][0] == 1,
        "4.2.1 instance ID: the hash of the public key": claims[256][1:] == hashlib.sha256(public_key).digest(),
        "4.2.2 implementation ID: 32 bytes": isinstance(claims[2396], bytes) and len(claims[2396]) == 32,
        "4.2.3 certification reference: 13 digits, a dash, 5 digits, or none": re.fullmatch(
            r"\d{13}-\d{5}", claims.get(2398, "0000000000000-00000")
        ),
        "4.3.1 security lifecycle: PSA RoT Provisioning": 0x2000 <= claims[2395] <= 0x20FF,
        "4.3.2 boot seed: 8 to 32 bytes": isinstance(claims[268], bytes) and 8 <= len(claims[268]) <= 32,
        "4.4.1 software components: an array of one or more": isinstance(claims[2399], list) and claims[2399],
        "4.5.1 verification service indicator: none": 2400 not in claims,
        "4.5.2 profile": claims[265] == "tag:psacertified.org,2023:psa#tfm",
    }
    for component in claims[2399]:
        rules |= {
            "4.4.1.1 measurement type: text": isinstance(component[1], str),
            "4.4.1.2 measurement value: 32, 48 or 64 bytes": len(component[2]) in psa_hash,
            "4.4.1.3 version: text": isinstance(component[4], str),
            "4.4.1.4 signer ID: 32, 48 or 64 bytes": len(component[5]) in psa_hash,
            "4.4.1 attributes: no others": set(component) <= {1, 2, 4, 5, 6},
        }
    # What RFC 9783 does not know a receiver passes over (section 5.1.3): one proprietary claim.
    known = {10, 256, 265, 268, 2394, 2395, 2396, 2398, 2399, 2400}
    rules["5.1.3 other claims: the device ID alone"] = set(claims) - known == {-65537}
    image = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else b""
    measured = claims[2399][0][2]
    rules["the measurement is the image's SHA-256"] = measured == hashlib.sha256(image).digest()
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        sys.exit("broken rules: " + "; ".join(broken))
    print(f"ok: pycose verifies the signature, {len(rules)} rules of RFC 9783 hold, image {measured.hex()}")


main()
