"""A key and a certificate for one server at loopback, so that kubectl, which sends tokens over TLS only, can ask it.

X.509 by hand, with one curve and one signature: nothing here keeps a secret from anybody who may read our files.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta

# The curve P-256.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
A = P - 3
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
CURVE_ID, EC_KEY_ID, ECDSA_SHA256_ID = "2a8648ce3d030107", "2a8648ce3d0201", "2a8648ce3d040302"
COMMON_NAME_ID, ALTERNATIVE_NAMES_ID, BASIC_CONSTRAINTS_ID = "550403", "551d11", "551d13"
VALID = timedelta(days=365)

Point = tuple[int, int] | None


def made(address: str = "127.0.0.1") -> tuple[str, str]:
    """A certificate for that IPv4 address, its own issuer, and its key: both as PEM."""
    secret = secrets.randbelow(N - 1) + 1
    point = _times(secret, G)
    assert point is not None
    public = b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")
    body = _body(public, bytes(int(part) for part in address.split(".")))
    signed = _sequence(body, _sequence(_object(ECDSA_SHA256_ID)), _bits(_signature(secret, body)))
    return _pem("CERTIFICATE", signed), _pem("EC PRIVATE KEY", _private(secret, public))


def _body(public: bytes, address: bytes) -> bytes:
    name = _sequence(_tagged(0x31, _sequence(_object(COMMON_NAME_ID), _tagged(0x0C, b"chaos-runner pocket cluster"))))
    now = datetime.now(UTC)
    valid = _sequence(_time(now - timedelta(hours=1)), _time(now + VALID))
    key = _sequence(_sequence(_object(EC_KEY_ID), _object(CURVE_ID)), _bits(public))
    names = _sequence(_tagged(0x87, address), _tagged(0x82, b"localhost"))
    extensions = _sequence(
        _sequence(_object(BASIC_CONSTRAINTS_ID), _tagged(0x01, b"\xff"), _tagged(0x04, _sequence(b"\x01\x01\xff"))),
        _sequence(_object(ALTERNATIVE_NAMES_ID), _tagged(0x04, names)),
    )
    version, serial = _tagged(0xA0, _number(2)), _number(secrets.randbits(120) + 1)
    algorithm = _sequence(_object(ECDSA_SHA256_ID))
    return _sequence(version, serial, algorithm, name, valid, name, key, _tagged(0xA3, extensions))


def _private(secret: int, public: bytes) -> bytes:
    parts = (_number(1), _tagged(0x04, secret.to_bytes(32, "big")), _tagged(0xA0, _object(CURVE_ID)))
    return _sequence(*parts, _tagged(0xA1, _bits(public)))


def _signature(secret: int, message: bytes) -> bytes:
    """ECDSA over SHA-256."""
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(N - 1) + 1
        point = _times(nonce, G)
        assert point is not None
        r = point[0] % N
        s = pow(nonce, -1, N) * (digest + r * secret) % N
        if r and s:
            return _sequence(_number(r), _number(s))


def _times(factor: int, point: Point) -> Point:
    result: Point = None
    while factor:
        if factor & 1:
            result = _sum(result, point)
        point = _sum(point, point)
        factor >>= 1
    return result


def _sum(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return other if one is None else one
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] * one[0] + A) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def _tagged(tag: int, content: bytes) -> bytes:
    """One value of DER."""
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _number(value: int) -> bytes:
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _object(identifier: str) -> bytes:
    return _tagged(0x06, bytes.fromhex(identifier))


def _bits(content: bytes) -> bytes:
    return _tagged(0x03, b"\x00" + content)


def _time(when: datetime) -> bytes:
    return _tagged(0x17, when.strftime("%y%m%d%H%M%SZ").encode())


def _pem(label: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[n : n + 64] for n in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
