"""What takes the place of personal data: its kind, or made-up data of the same form that can belong to nobody.

Everything here depends on the value, its kind and the key alone: not on the document, nor on what came before.
"""

import hashlib
import hmac
import ipaddress
import os
import re
from dataclasses import dataclass, field

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from curation.edits import EDITS, apply_edits
from curation.pii_shapes import FOLD
from manifests.errors import RequestError
from manifests.schema import ALL_PII_KINDS, CorpusManifest, PiiKind, Redact
from manifests.store import resolve

KEY_BYTES_MIN = 16
PUBLIC: frozenset[PiiKind] = frozenset({"brn"})
"""Kinds that are found but not masked unless a manifest names them: registers of businesses are public."""


@dataclass(frozen=True)
class Redacted:
    """Texts as they are written, where personal data (PII_TYPE) stands in them, and how many spans were masked."""

    texts: pa.LargeStringArray
    pii: pa.ListArray
    n_masked: dict[PiiKind, int]


@dataclass(frozen=True)
class Redactor:
    """Masks the `kinds`: with surrogates where there is a `key`, otherwise with placeholders."""

    kinds: frozenset[PiiKind]
    key: bytes | None = field(repr=False)

    @property
    def key_digest(self) -> str:
        """16 hexadecimal digits that change with the key and do not tell it: another key makes another run."""
        return hmac.digest(self.key, b"onggi: which key", hashlib.sha256).hex()[:16] if self.key else ""

    def redact(self, texts: pa.LargeStringArray, pii: pa.ListArray) -> Redacted:
        """The texts with what `pii` (PII_TYPE, a row per text) says of them masked.

        A masked span stays in the result's `pii`, as the place of what was put there.
        """
        counts = dict.fromkeys((kind for kind in ALL_PII_KINDS if kind in self.kinds), 0)
        rows = pc.fill_null(pc.greater(pc.list_value_length(pii), 0), False)
        edits: list[list[dict[str, int | str]]] = []
        for text, spans in zip(texts.filter(rows).to_pylist(), pii.filter(rows).to_pylist(), strict=True):
            masked = [span for span in spans if span["kind"] in self.kinds]
            for span in masked:
                counts[span["kind"]] += 1
                span["replacement"] = self.replacement(span["kind"], text[span["start"] : span["end"]])
            edits.append([{name: span[name] for name in ("start", "end", "replacement")} for span in masked])
        where = pc.if_else(rows, pc.subtract(pc.cumulative_sum(pc.cast(rows, pa.int64())), 1), None)
        edited = apply_edits(texts, pa.array(edits, EDITS).take(where))
        return Redacted(edited.texts, edited.move(pii), counts)

    def replacement(self, kind: PiiKind, value: str) -> str:
        """What takes the place of `value`."""
        return surrogate(kind, value, self.key) if self.key else placeholder(kind)


def redactor(manifest: CorpusManifest, base: str) -> Redactor | None:
    """What a manifest asks for; None where it masks nothing.

    Raises:
        RequestError: there is no such key, or it is too short.
    """
    redact = manifest.redact
    if redact is None or redact.mode == "none":
        return None
    kinds = [kind for kind in manifest.pii_kinds if kind not in PUBLIC] if redact.kinds is None else redact.kinds
    return Redactor(frozenset(kinds), read_key(redact.key, base) if redact.key else None)


def read_key(name: str, base: str) -> bytes:
    """The key in the environment variable `name`, or in the file of that name; `base` is where relative paths start.

    Raises:
        RequestError: there is neither, or it holds less than KEY_BYTES_MIN bytes.
    """
    key = os.environ.get(name, "").encode().strip()
    if not key:
        try:
            with fsspec.open(resolve(name, base), "rb") as file:
                key = file.read().strip()
        except OSError:
            raise RequestError(
                f"redact.key: there is neither an environment variable {name!r} nor a file of that name; "
                "every worker needs it"
            ) from None
    if len(key) < KEY_BYTES_MIN:
        raise RequestError(
            f"redact.key: the key in {name!r} has {len(key)} bytes; at least {KEY_BYTES_MIN} are needed"
        )
    return key


def resolved(redact: Redact, base: str) -> Redact:
    """The settings with the path of the key absolute, where it names a file and no environment variable."""
    if redact.key is None or os.environ.get(redact.key):
        return redact
    path = resolve(redact.key, base)
    filesystem, inner = fsspec.core.url_to_fs(path)
    return redact.model_copy(update={"key": path}) if filesystem.exists(inner) else redact


def placeholder(kind: PiiKind) -> str:
    """<EMAIL> and the like: the form of Presidio's and StarCoder's, with the names of the column `pii`."""
    return f"<{kind.upper()}>"


def surrogate(kind: PiiKind, value: str, key: bytes) -> str:
    """Made-up data in the form of `value`, the same for the same value however it is spelled.

    It is clearly not real, and no validator takes it for real: addresses at example.com (RFC 2606), IP addresses of
    240.0.0.0/4 (RFC 1112) and 2001:db8::/32 (RFC 3849), phone exchanges that begin with 0, 555-01xx, the unassigned
    country code 999, birth dates in month 0, registry type 0, region 0, issuers and accounts 000, passports X. A
    secret becomes REDACTED and some digits: no program should take it for a key of any service.
    """
    if kind == "secret":
        return f"REDACTED{_stream(kind, value, key):064x}"[:32]
    value = value.translate(FOLD)
    stream = _stream(kind, _canonical(kind, value), key)
    if kind == "email":
        return f"{stream:020x}"[-12:] + "@example.com"
    if kind == "ip":
        is_v6 = ":" in value
        first, n_bits = ("2001:db8::", 96) if is_v6 else ("240.0.0.0", 28)
        span = 2**n_bits - (0 if is_v6 else 1)  # 255.255.255.255 is everybody's
        return str(ipaddress.ip_address(int(ipaddress.ip_address(first)) + stream % span))
    digits = re.sub(r"\D", "", value)
    fixed = _phone_digits(value, digits) if kind == "phone" else _FIXED[kind]
    return _filled(value, fixed, stream)


_FIXED: dict[PiiKind, str] = {
    "rrn": "..0000g",  # g: a digit of that kind, from the stream
    "frn": "..0000f",
    "crn": "....00",
    "brn": "000",
    "card": "000",
    "passport": "",
    "account": "000",
    "driver_license": "000",
}
_CHOICES = {"g": "1234", "f": "5678", "a": "2345678", "b": "012345678"}


def _phone_digits(value: str, digits: str) -> str:
    """Which digits of a number stay as they are given here; a point is any digit."""
    if _names_country(value):
        if digits.startswith("82"):
            trunk = digits[2] == "0"
            return "82" + "0" * trunk + _area("0" + digits[2 + trunk :])[1:] + "0"
        return "1ab.55501" if digits.startswith("1") else "999"
    if digits[0] == "0":
        return _area(digits) + "0"
    if len(digits) == 8:
        return "1000"
    return "1ab.55501" if len(digits) == 11 else "ab.55501"


def _names_country(value: str) -> bool:
    """Whether a phone number begins with its country's code; 828-254-1234 begins with that of North Carolina."""
    return value.lstrip("( ").startswith("+") or value.startswith("82-10-")


def _area(digits: str) -> str:
    """The prefix of a Korean number, with its 0."""
    n_digits = 2 if digits.startswith("02") else 4 if digits.startswith("050") else 3
    return digits[:n_digits]


def _filled(value: str, fixed: str, stream: int) -> str:
    """The form of `value` with other digits: the fixed ones first, the rest from the stream; its letters become X."""
    filled, n_digits = "", 0
    for character in value:
        if character in "0123456789":
            wanted = fixed[n_digits] if n_digits < len(fixed) else "."
            choices = _CHOICES.get(wanted, "0123456789" if wanted == "." else wanted)
            stream, choice = divmod(stream, len(choices))
            character, n_digits = choices[choice], n_digits + 1
        elif character.isascii() and character.isalpha():
            character = "X"
        filled += character
    return filled


def _canonical(kind: PiiKind, value: str) -> str:
    """The value in one spelling."""
    if kind == "email":
        return value.lower()
    if kind == "ip":
        return str(ipaddress.ip_address(value))
    canonical = re.sub(r"[^0-9A-Za-z]", "", value)
    if kind == "phone" and canonical.startswith("82") and _names_country(value):
        return "0" + canonical[2:].removeprefix("0")
    return canonical


def _stream(kind: PiiKind, canonical: str, key: bytes) -> int:
    """256 bits that nobody can foresee without the key (HMAC-SHA256, RFC 2104)."""
    return int.from_bytes(hmac.digest(key, f"{kind}\0{canonical}".encode(), hashlib.sha256))
