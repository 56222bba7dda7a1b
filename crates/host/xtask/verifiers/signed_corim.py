#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Makes a manufacturer's keys and certificates in the folder $2 ("make"), or checks the signed endorsements in the files $4...
that were signed with them ("check"), of so many parts ($3): cryptography verifies the certificates, pycose the signature,
cbor2 reads the CoRIM. The rules are those of draft-ietf-rats-corim, and what veraison/corim and veraison/services ask of a
signed CoRIM. None of this project's code takes part."""

import sys
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import CoseMessage, Sign1Message

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def certificate(name, key, issuer_name, issuer_key, is_ca):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    usage = {
        name: False
        for name in (
            "content_commitment key_encipherment data_encipherment key_agreement crl_sign encipher_only decipher_only"
        ).split()
    }
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=300 if is_ca else 100))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, **usage), critical=True
        )
        .sign(issuer_key, hashes.SHA384() if issuer_key.curve.name == "secp384r1" else hashes.SHA256())
    )


def make(folder):
    root_key, factory_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    key = ec.generate_private_key(ec.SECP256R1())
    root = certificate("Root", root_key, "Root", root_key, True)
    factory = certificate("Factory", factory_key, "Root", root_key, True)
    leaf = certificate("Endorsements", key, "Factory", factory_key, False)

    def pem(*certificates):
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)

    (folder / "root.pem").write_bytes(pem(root))
    (folder / "chain.pem").write_bytes(pem(leaf, factory))
    file = folder / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def check_chain(folder, chain):
    """The x5chain leads to the root, of which it has no copy."""
    root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    assert len(certificates) == 2, len(certificates)
    for one, issuer in zip(certificates, [*certificates[1:], root]):
        one.verify_directly_issued_by(issuer)
        assert one.not_valid_before_utc <= NOW <= one.not_valid_after_utc
    return certificates[0]


def seconds(time):
    return int(time.timestamp())


def check(folder, parts, data):
    message = CoseMessage.decode(data)
    assert isinstance(message, Sign1Message)
    protected, unprotected, payload, _ = cbor2.loads(data).value
    assert unprotected == {}
    header = cbor2.loads(protected)
    assert set(header) == {1, 3, 8, 33}, sorted(header)
    assert (header[1], header[3]) == (-7, "application/rim+cbor")

    leaf = check_chain(folder, header[33])
    key = leaf.public_key().public_numbers()
    message.key = EC2Key(crv=P256, x=key.x.to_bytes(32, "big"), y=key.y.to_bytes(32, "big"))
    assert message.verify_signature(), "the signature"

    meta = cbor2.loads(header[8])
    assert meta[0] == {0: "Example", 1: cbor2.CBORTag(32, "https://example.com")}, meta
    # cbor2 turns tag 1 into a time.
    valid = {key: seconds(time) for key, time in meta[1].items()}
    assert valid == {0: seconds(leaf.not_valid_before_utc), 1: seconds(leaf.not_valid_after_utc)}, meta

    corim = cbor2.loads(payload)
    assert corim.tag == 501
    [comid] = corim.value[1]
    assert comid.tag == 506
    found = {}
    for environment, [public_key] in cbor2.loads(comid.value)[4][3]:
        point = serialization.load_pem_public_key(public_key.value.encode()).public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        found.setdefault((x, y), set()).add(environment[1].value)
    assert len(found) == parts, len(found)
    for (x, y), instance_ids in found.items():
        # To TF-M 2.1, and from 2.2 on.
        hashed = b"\x04" + x + y, cbor2.dumps({1: 2, -1: 1, -2: x, -3: y})
        assert instance_ids == {b"\x01" + sha256(data).digest() for data in hashed}

    # Nothing of it can be changed.
    for place in (len(data) - 1, len(data) // 2, data.index(b"Example")):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            broken = CoseMessage.decode(bytes(changed))
            broken.key = message.key
            holds = broken.verify_signature()
        except Exception:  # It may be no COSE any more.
            holds = False
        assert not holds, f"byte {place} was changed"


def main():
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make(folder)
        return
    for file in sys.argv[4:]:
        check(folder, int(sys.argv[3]), Path(file).read_bytes())
    print(f"ok: {len(sys.argv[4:])} files of signed endorsements")


main()
