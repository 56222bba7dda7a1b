#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Checks the token of TF-M in the console on standard input against the provisioning record in the console $1: pycose
verifies it with the record's public key, and the claims that both have are compared. The instance ID is that of the record
to TF-M 2.1, and then 0x01 and the hash of the public key as another encoding has it. None of this project's code takes
part."""

import base64
import re
import sys
from hashlib import sha256
from pathlib import Path

import cbor2
from pycose.keys import CoseKey
from pycose.messages import CoseMessage

# tfm_attest_iat_defs.h of TF-M: PSA_IOT_PROFILE_1.
LIFECYCLE, IMPLEMENTATION_ID, INSTANCE_ID = -75002, -75003, -75009


def hash_of_cose_key(key):
    """Of its members kty, crv, x and y alone, as TF-M encodes them."""
    members = {label: key[label] for label in (1, -1, -2, -3)}
    return b"\x01" + sha256(cbor2.dumps(members)).digest()


def main():
    record = re.search(r"Provisioning record: ([A-Za-z0-9_-]+)", Path(sys.argv[1]).read_text())[1]
    signed, key = cbor2.loads(base64.urlsafe_b64decode(record + "=" * (-len(record) % 4)))
    expected = cbor2.loads(signed.value[2])
    token = bytes.fromhex("".join(re.findall(r"token: ([0-9a-f]+)$", sys.stdin.read(), re.MULTILINE)))

    message = CoseMessage.decode(token)
    message.key = CoseKey.decode(cbor2.dumps(key))
    assert message.verify_signature(), "the token is not signed by the key of the record"
    claims = cbor2.loads(message.payload)
    of_record = claims[INSTANCE_ID] == expected[256]
    assert of_record or claims[INSTANCE_ID] == hash_of_cose_key(key), "the instance ID"
    assert claims[IMPLEMENTATION_ID] == expected[2396], "the implementation ID"
    assert (expected[2395], claims[LIFECYCLE]) == (0x2000, 0x3000), "the lifecycle state"
    instance_id = "that of the record" if of_record else "the hash of its COSE_Key"
    print(f"ok: a token of {len(token)} bytes, signed by the key of the record; the instance ID is {instance_id}")


main()
