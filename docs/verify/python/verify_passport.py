"""Checks the passport of a request. Copy this file into a backend; it needs `cryptography` (any version from 3.4) and nothing else. Python 3.8 or newer.

The rules, and vectors to try a change with, are in docs/verify.

    verify = PassportVerifier(
        issuer="https://passports.example.com",
        audience="cell:us01",
        key_set_url="https://api.example.com/.well-known/jwks.json",
    )
    try:
        claims = verify(request.headers.get("x-passport"))
    except PassportRefused as refused:
        log.info("refused: %s", refused)  # a caller learns nothing but 401
        return 401

In Flask, Django and other WSGI frameworks that is right, as the server has joined repeated headers. Where `get` gives the first of several, give the verifier the list
of all: `request.headers.getlist("x-passport")` in FastAPI and Starlette, `request.headers.getall("x-passport", [])` in aiohttp.
"""

import base64
import binascii
import json
import re
import threading
import time
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ALGORITHM = "ES256"
PASSPORT_TYPE = "passport+jwt"
# Characters; longer ones are refused before any work is done.
MAX_LENGTH = 8_192
# Seconds of clock difference that are tolerated.
SKEW_S = 5
# A passport lives at most this long, so one that claims more was not made by the gateway.
MAX_LIFETIME_S = 60
# Seconds after which the key set is read again, and that each step of one request may take.
KEYS_MAX_AGE_S = 300
KEYS_TIMEOUT_S = 5
# An unknown key id makes us look again, but not before this has passed since the last look ended: anybody can invent key ids.
KEYS_MIN_INTERVAL_S = 2
# Threads that may wait for a read that another makes, with a key id that is not held: when a new key signs at once, a hundred calls a second pass while a read takes 160 ms.
# No more, as who invents key ids holds up so many of your server's threads, and the one that reads. Lower it where there are few: Starlette has 40.
KEYS_MAX_WAITING = 16

_PART = re.compile(r"[A-Za-z0-9_-]+\Z")


class PassportRefused(Exception):
    """Why, for your log; a caller learns nothing but 401."""


class PassportVerifier:
    """Keeps a key cache of its own: make one and keep it. Safe to share between threads."""

    def __init__(self, issuer, audience, key_set_url, type=PASSPORT_TYPE, now=time.time, read_key_set=None, monotonic=time.monotonic):
        """`type` is `txntoken+jwt` for an audience that gets Transaction Tokens. `read_key_set` gives the key set's text; default: HTTP.

        `now` gives seconds since the epoch, `monotonic` seconds by a clock that nobody sets: the age of the keys goes by that one.
        """
        self._issuer = issuer
        self._audience = audience
        self._type = type
        self._now = now
        self._keys = _KeyCache(read_key_set or (lambda: _fetch(key_set_url)), monotonic)

    def __call__(self, values):
        """The claims of a good passport, a dict. Takes the header as the framework gives it: None, a str, or the list of all its values. Raises PassportRefused for anything else."""
        values = [] if values is None else [values] if isinstance(values, str) else list(values)
        if not values:
            raise PassportRefused("no passport")
        # WSGI servers join repeated headers with a comma, which no token holds.
        if len(values) > 1 or "," in values[0]:
            raise PassportRefused("more than one passport")
        token = values[0]
        parts = token.split(".")
        if len(token) > MAX_LENGTH or len(parts) != 3:
            raise PassportRefused("not a JWT")
        head, body, signature = (_decode(part) for part in parts)
        header, claims = _parse_object(head), _parse_object(body)
        self._check_header(header)
        key = self._keys.find(header["kid"])
        if key is None:
            raise PassportRefused("unknown key")
        _check_signature(key, signature, token[: token.rindex(".")])
        self._check_claims(claims)
        return claims

    def _check_header(self, header):
        if header.get("alg") != ALGORITHM:
            raise PassportRefused("another algorithm")
        if header.get("typ") != self._type:
            raise PassportRefused("another type of token")
        if not isinstance(header.get("kid"), str) or header["kid"] == "":
            raise PassportRefused("no key id")
        # These three and nothing else: no `crit`, `jku`, `jwk` or `x5u` is even looked at.
        if len(header) != 3:
            raise PassportRefused("unexpected header")

    def _check_claims(self, claims):
        now = int(self._now())
        if claims.get("iss") != self._issuer:
            raise PassportRefused("another issuer")
        if claims.get("aud") != self._audience:
            raise PassportRefused("made for another audience")
        if not isinstance(claims.get("sub"), str) or claims["sub"] == "":
            raise PassportRefused("no subject")
        iat, nbf, exp = claims.get("iat"), claims.get("nbf"), claims.get("exp")
        # In Python True is an int, too.
        if not all(type(value) is int for value in (iat, nbf, exp)):
            raise PassportRefused("no times")
        if exp <= now - SKEW_S:
            raise PassportRefused("expired")
        if iat > now + SKEW_S or nbf > now + SKEW_S:
            raise PassportRefused("not yet valid")
        if exp - iat > MAX_LIFETIME_S:
            raise PassportRefused("lives too long")


class _KeyCache:
    """One thread reads the key set; the others go by the keys that are held, and never wait for it where theirs is among them."""

    def __init__(self, read, monotonic):
        self._read = read
        self._monotonic = monotonic
        self._keys = {}
        # When the last read ended, whatever came of it, and when the last one did that gave keys.
        self._read_at = self._keys_at = float("-inf")
        # Whether the last read took longer than the pause before the next.
        self._was_slow = False
        # Set when the read under way ends; None while there is none.
        self._reading = None
        # Threads that have begun to wait for it.
        self._waiting = 0
        # For those above; never held while the key set is read.
        self._lock = threading.Lock()

    def find(self, kid):
        with self._lock:
            key = self._keys.get(kid)
            now = self._monotonic()
            under_way = self._reading
            if under_way is None:
                if now - self._read_at <= (KEYS_MIN_INTERVAL_S if key is None else KEYS_MAX_AGE_S):
                    return key
                self._reading = threading.Event()
                self._waiting = 0
            elif key is not None or not self._may_wait(now):
                return key
            else:
                self._waiting += 1
        if under_way is None:
            self._refresh(now)
        else:
            under_way.wait(KEYS_TIMEOUT_S)
        with self._lock:
            return self._keys.get(kid)

    def _may_wait(self, now):
        """All may where nothing is held, or nothing new enough; but while the key set hangs, threads would wait most of the time."""
        is_old = now - self._keys_at > KEYS_MAX_AGE_S
        return not self._keys or (is_old and not self._was_slow) or self._waiting < KEYS_MAX_WAITING

    def _refresh(self, began_at):
        keys = None
        try:
            keys = _import_keys(self._read())
        except Exception:  # noqa: BLE001
            # The keys we have stay good; a backend that has none refuses everything until the gateway answers.
            pass
        finally:
            with self._lock:
                self._read_at = self._monotonic()
                self._was_slow = self._read_at - began_at > KEYS_MIN_INTERVAL_S
                if keys is not None:
                    self._keys, self._keys_at = keys, self._read_at
                ended, self._reading = self._reading, None
            ended.set()


def _import_keys(text):
    """Keys that are not exactly ES256 public keys are left out, and so are those that cannot be read; a kid that occurs twice is trusted in neither."""
    keys, seen = {}, set()
    for jwk in json.loads(text)["keys"]:
        if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
            continue
        if jwk.get("alg", ALGORITHM) != ALGORITHM or jwk.get("use", "sig") != "sig":
            continue
        kid = jwk.get("kid")
        if not isinstance(kid, str) or kid == "":
            continue
        key = None if kid in seen else _import_key(jwk)
        seen.add(kid)
        if key is None:
            keys.pop(kid, None)
        else:
            keys[kid] = key
    return keys


def _import_key(jwk):
    """None for what is no point on the curve: one such key is no reason to do without the others."""
    try:
        x, y = (int.from_bytes(_decode(jwk[name]), "big") for name in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (KeyError, TypeError, ValueError, PassportRefused):
        return None


def _check_signature(key, signature, signed):
    """JWS has r and s side by side (RFC 7518 §3.4), the library wants them in ASN.1."""
    if len(signature) != 64:
        raise PassportRefused("bad signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), signed.encode("ascii"), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise PassportRefused("bad signature") from None


def _decode(part):
    """base64url in the one spelling of its bytes (RFC 4648 §3.5): with others, one token would have many."""
    if not _PART.match(part):
        raise PassportRefused("not a JWT")
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise PassportRefused("not a JWT") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise PassportRefused("not a JWT")
    return decoded


def _parse_object(text):
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise PassportRefused("not a JWT") from None
    if not isinstance(value, dict):
        raise PassportRefused("not a JWT")
    return value


def _fetch(url):
    with _OPENER.open(url, timeout=KEYS_TIMEOUT_S) as response:
        return response.read(1_000_000).decode("utf-8")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
