"""Secrets in texts: private keys, tokens of services, passwords in URLs, and values assigned to names that say so.

One pattern over a whole batch, in linear time (RE2), says which texts may hold any; only those are looked at closely.
Look-alikes are left alone: hashes, UUIDs, placeholders, examples from documentation, names of variables.
"""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_EDGE = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"
LABEL = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|auth[_-]?key"
    r"|private[_-]?key"
)
_KOREAN_LABEL = r"비밀\s?번호|패스워드|암호|비번|인증\s?키|토큰"


@dataclass(frozen=True)
class SecretShape:
    """One way in which a secret is written; the group 1, where there is one, is the secret itself."""

    name: str
    literal: tuple[str, ...]  # one of these stands in every text that the pattern matches
    pattern: re.Pattern[str]
    check: Callable[[str], bool]


_PLACEHOLDER = re.compile(
    r"(?i)x{5,}|\*{3,}|\.{3}|…|_{4,}|-{6,}|0{6,}|1{6,}|a{5,}|<|>|\$\{|\$\(|\{\{|%\(|%s|%\w%|change[_-]?me|example|sample|"
    r"placeholder|dummy|redacted|removed|replace|undefined|abcdef|123456|qwerty|secret|passw|hunter2|letmein|default|"
    r"deadbeef|cafebabe|environ|getenv|process\.env|config|settings|입력|비밀|예시|여기|"
    r"(?<![a-z])(?:your|my|fake|mock|insert|todo|fixme|foo|bar|baz|lorem|null|none|n/a|tbd|test|token|key|admin|user|pass)"
    r"(?![a-z])"
)
"""Words that stand in what is no secret; short ones only by themselves, since letters drawn at random spell them."""
_UUID = re.compile(r"(?i)\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?")
_HEX = re.compile(r"(?i)(?:0x)?[0-9a-f]+")
_CODE = re.compile(
    r"^[\w.]+\(|^[A-Za-z_$][\w$]*(?:[.:/\\-]+[A-Za-z_$][\w$]*)+$|^[a-z]+:/|^[./~]|^[@#&$%]\w+|[()\[\]{};,]"
    r"|::|->|\\[wds]"
)
_WORDS = re.compile(
    r"^[A-Za-z]+(?:[A-Z][a-z]+)*\d{0,2}$|^[a-z]+(?:[_ -][a-z0-9]+)+$|^[A-Z]+(?:[_-][A-Z0-9]+)+$|^\d+$"
)


def entropy(value: str) -> float:
    """Shannon entropy of the characters, bits per character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret that is to be put there, or is one that everybody knows."""
    return bool(_PLACEHOLDER.search(value)) or len(set(value)) < 5 or _is_row(value)


def _is_row(value: str) -> bool:
    """Whether most characters follow each other, as in abcdefgh and 87654321."""
    steps = [ord(b) - ord(a) for a, b in pairwise(value)]
    return sum(abs(step) <= 1 for step in steps) > 0.6 * len(steps)


def _is_random(value: str) -> bool:
    return not _EXAMPLE.search(value) and not _is_row(value) and entropy(value) >= 3.0


_EXAMPLE = re.compile(
    r"(?i)example|x{6,}|0{8,}|1234567890|abcdefgh|test_?token|fake|dummy|placeholder|redacted|your_"
)


def _is_key(block: str) -> bool:
    """Whether a block holds the base64 of a key, and not the words of a manual."""
    body = re.sub(r"-----[^-]+-----", "", block.replace("\\n", "").replace("\\r", ""))
    body = re.sub(r"(?m)^[\w-]+: .*$", "", body)  # headers as Proc-Type
    encoded = re.sub(r"[^A-Za-z0-9+/=]", "", body)
    return len(encoded) >= 64 and "..." not in body and entropy(encoded) > 4.0


def _is_jwt(value: str) -> bool:
    header, payload, signature = value.split(".")
    if "eyJzdWIiOiIxMjM0NTY3ODkwIi" in payload or len(signature) < 16:  # the example of jwt.io
        return False
    try:
        decoded = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    except (binascii.Error, ValueError):
        return False
    return b'"alg"' in decoded and _is_random(signature)


def _is_password_of_url(value: str) -> bool:
    is_known = value.lower() in _COMMON or _PLACEHOLDER.search(value) or re.fullmatch(r"[:{<\[(%$].*", value)
    return len(value) >= 6 and not is_known and len(set(value)) >= 4 and entropy(value) >= 2.25


_COMMON = frozenset(
    {
        *(
            "password",
            "passwd",
            "pass",
            "secret",
            "username",
            "postgres",
            "postgresql",
            "mariadb",
            "rabbit",
            "rabbitmq",
        ),
        *("docker", "mypass", "mypassword", "myuser", "foobar", "foobarbaz", "pwd1234"),
    }
)


def _is_assigned(name: str, value: str, *, quoted: bool) -> bool:
    """Whether what a name of a secret is given is one: random enough for a key, no word for a password."""
    lower = name.lower()
    if _NOT_NAMES.search(lower) or is_placeholder(value) or _UUID.search(value):
        return False
    if quoted and _looks_drawn(value):
        return True
    if _CODE.search(value):
        return False
    if _WORDS.match(value) or not re.search(r"\d", value) or not re.search(r"[A-Za-z]", value):
        return False
    is_password = re.search(r"pass|pwd|비밀|암호|비번|패스", lower) is not None
    if _HEX.fullmatch(value):
        return not is_password and len(value) in (32, 40, 48, 64) and entropy(value) >= 3.0
    if is_password:
        return quoted and len(value) >= 8 and entropy(value) >= 2.75
    return len(value) >= 16 and entropy(value) >= 3.25 and len(re.findall(r"\d", value)) >= 2


def _looks_drawn(value: str) -> bool:
    """Whether a value in quotes has what no expression and no path has: small and large letters and digits, mixed."""
    classes = (r"[a-z]", r"[A-Z]", r"\d")
    mixed = (
        all(re.search(of, value) for of in classes)
        and len(re.findall(r"[a-zA-Z]\d|\d[a-zA-Z]|[a-z][A-Z]", value)) >= 4
    )
    return len(value) >= 16 and mixed and entropy(value) >= 3.6 and not re.search(r"\w\(|\(\)|^[a-z]+:/", value)


_NOT_NAMES = re.compile(
    r"hash|digest|sha\d*|md5|checksum|crc|etag|regex|pattern|expression|label|hint|field|param|column|path"
    r"|file|url|uri|"
    r"public|prompt|message|msg|error|title|placeholder|_id$|type|name|length|len$|count|csrf|xsrf|nonce|"
    r"commit|rev|version|tokeni|next|page|continuation|cursor|salt|icon|class|selector|text|secretary"
    r"|example|dummy|fake"
)

NAME_CHARS, VALUE_CHARS = 40, 300
"""How far a name goes on around what it says, and what it is given after that."""

_LABEL = re.compile(rf"(?i:{LABEL}|{_KOREAN_LABEL})")
_BEGINNINGS = (
    *("passw", "passph", "pwd", "secret", "token", "credential", "apikey", "api_key", "api-key", "accesskey"),
    *("access_key", "access-key", "authkey", "auth_key", "auth-key", "privatekey", "private_key", "private-key"),
    *("비밀", "패스워드", "암호", "비번", "인증", "토큰"),
)
_NAME_BEFORE = re.compile(r"[A-Za-z0-9_.-]*$")
_QUOTED = re.compile(
    r"""([A-Za-z0-9_.-]{0,30})["'\]]{0,2}\s{0,4}(?:=>|:=|=|:)(?!=)\s{0,4}[A-Za-z]{0,2}(["'`])([^"'`\s]{8,200})\2"""
)
_BARE = re.compile(
    r"([A-Za-z0-9_.-]{0,30})[ \t]*[=:][ \t]*([A-Za-z0-9+/=_.~@!#$%^&*-]{16,200})[ \t]*(?:#[^\n]*)?(?:\n|$)"
)
_BARE_BEFORE = re.compile(r"(?:^|\n)[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]+)?[A-Za-z0-9_.-]*$")
"""What may stand before a name that a line gives a value without quotes, as in .env files and YAML."""


def _shape(name: str, literal: str, pattern: str, check: Callable[[str], bool] = _is_random) -> SecretShape:
    return SecretShape(name, tuple(literal.split()), re.compile(pattern), check)


SHAPES = (
    _shape(
        "private key",
        "PRIVATE",
        r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[^\x00]){32,20000}?"
        r"-----END (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----",
        _is_key,
    ),
    _shape("AWS", "AKIA ASIA ABIA ACCA", rf"{_EDGE}(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}}{_END}"),
    _shape("GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_EDGE}gh[pousr]_[A-Za-z0-9]{{36,255}}{_END}"),
    _shape("GitHub", "github_pat_", rf"{_EDGE}github_pat_[A-Za-z0-9]{{22}}_[A-Za-z0-9]{{59}}{_END}"),
    _shape("GitLab", "glpat- gldt- glrt- glptt-", rf"{_EDGE}gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{{20,64}}{_END}"),
    _shape("Slack", "xox", rf"{_EDGE}xox[abeoprs]-(?:\d+-)*[A-Za-z0-9-]{{16,200}}{_END}"),
    _shape(
        "Slack",
        "hooks.slack.com",
        r"(?<=hooks\.slack\.com/services/)T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/[A-Za-z0-9]{20,40}(?![A-Za-z0-9])",
    ),
    _shape("Google", "AIza", rf"{_EDGE}AIza[A-Za-z0-9_-]{{35}}{_END}"),
    _shape("Google", "GOCSPX-", rf"{_EDGE}GOCSPX-[A-Za-z0-9_-]{{28}}{_END}"),
    _shape("Google", "ya29.", rf"{_EDGE}ya29\.[A-Za-z0-9_-]{{30,300}}{_END}"),
    _shape("Stripe", "k_live_ k_test_", rf"{_EDGE}[sr]k_(?:live|test)_[A-Za-z0-9]{{16,120}}{_END}"),
    _shape("Stripe", "whsec_", rf"{_EDGE}whsec_[A-Za-z0-9+/=]{{32,64}}(?![A-Za-z0-9])"),
    _shape("npm", "npm_", rf"{_EDGE}npm_[A-Za-z0-9]{{36}}{_END}"),
    _shape("PyPI", "pypi-AgE", rf"{_EDGE}pypi-AgE[A-Za-z0-9_-]{{50,300}}{_END}"),
    _shape("OpenAI", "T3BlbkFJ", rf"{_EDGE}sk-[A-Za-z0-9_-]{{16,110}}T3BlbkFJ[A-Za-z0-9_-]{{16,110}}{_END}"),
    _shape("Anthropic", "sk-ant-", rf"{_EDGE}sk-ant-[a-z0-9]{{3,8}}-[A-Za-z0-9_-]{{60,120}}{_END}"),
    _shape("Hugging Face", "hf_", rf"{_EDGE}hf_[A-Za-z]{{34}}{_END}"),
    _shape("SendGrid", "SG.", rf"{_EDGE}SG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}{_END}"),
    _shape("DigitalOcean", "dop_v1_ doo_v1_", rf"{_EDGE}do[op]_v1_[a-f0-9]{{64}}{_END}"),
    _shape("Telegram", ":AA", r"(?<![A-Za-z0-9])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    _shape(
        "JWT",
        "eyJ",
        rf"{_EDGE}eyJ[A-Za-z0-9_-]{{10,2000}}\.eyJ[A-Za-z0-9_-]{{10,4000}}\.[A-Za-z0-9_-]{{16,1000}}{_END}",
        _is_jwt,
    ),
    _shape(
        "URL",
        "://",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$%]{0,64}:([^\s/@\"'<>{}$]{6,128})@(?!localhost|127\."
        r"|example\.|host\b|\[?::1)"
        r"[A-Za-z0-9\[]",
        _is_password_of_url,
    ),
)  # fmt: skip

_GATE = "|".join(
    [
        r"PRIVATE KEY|A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{8}|gh[pousr]_[A-Za-z0-9]{8}|github_pat_|gl(?:pat|dt|rt|ptt)-|"
        r"xox[abeoprs]-|hooks\.slack\.com|AIza[A-Za-z0-9_-]{8}|GOCSPX-|ya29\.|[sr]k_(?:live|test)_|whsec_"
        r"|npm_[A-Za-z0-9]{8}|"
        r"pypi-AgE|T3BlbkFJ|sk-ant-|hf_[A-Za-z]{8}|SG\.[A-Za-z0-9_-]{8}|do[op]_v1_|\d:AA[A-Za-z0-9_-]{8}|"
        r"eyJ[A-Za-z0-9_-]{8}|://[^\s/:@]{0,64}:[^\s/@]{6}",
        rf"(?i:{LABEL}|{_KOREAN_LABEL})[A-Za-z0-9_.-]{{0,30}}[\"'\]]{{0,2}}\s{{0,4}}(?:=>|:=|=|:)",
    ]
)


def texts_that_may_hold(texts: pa.LargeStringArray) -> list[int]:
    """The rows in which a secret may stand."""
    found = pc.fill_null(pc.match_substring_regex(texts, _GATE), False)
    return [int(row) for row in np.flatnonzero(np.asarray(found))]


def secrets_in(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text, in characters; in order, apart."""
    end = 0
    for start, stop in sorted(set(_all_in(text)), key=lambda span: (span[0], -span[1])):
        if start >= end:
            yield start, stop
            end = stop


def _all_in(text: str) -> Iterator[tuple[int, int]]:
    for shape in SHAPES:
        if any(literal in text for literal in shape.literal):
            for match in shape.pattern.finditer(text):
                group = 1 if match.re.groups else 0
                if shape.check(match[group]):
                    yield match.span(group)
    yield from _assigned_in(text)


def _labels_in(text: str) -> Iterator[re.Match[str]]:
    """Where names of secrets stand; looking for each beginning by itself is much faster than one pattern for all."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters of Turkish and others are two in lower case
        yield from _LABEL.finditer(text)
        return
    for word in _BEGINNINGS:
        at = lower.find(word)
        while at >= 0:
            if match := _LABEL.match(text, at):
                yield match
            at = lower.find(word, at + len(word))


def _assigned_in(text: str) -> Iterator[tuple[int, int]]:
    for label in _labels_in(text):
        before = text[max(0, label.start() - NAME_CHARS - 10) : label.start()]
        window = text[label.end() : label.end() + VALUE_CHARS]
        match = _QUOTED.match(window)
        group = 3
        if match is None and _BARE_BEFORE.search(before):
            match, group = _BARE.match(window), 2
        if match is None:
            continue
        found = _NAME_BEFORE.search(before)
        name = (found[0] if found else "") + label[0] + match[1]
        if _is_assigned(name, match[group], quoted=group == 3):
            yield label.end() + match.start(group), label.end() + match.end(group)
