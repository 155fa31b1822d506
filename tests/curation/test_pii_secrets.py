"""Secrets: planted ones of every service are found where they stand, and what looks like them is left alone."""

import base64
import json
import random
import string
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.pii import find_pii
from curation.pii_redact import Redactor
from curation.pii_secrets import SHAPES, secrets_in, texts_that_may_hold

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
BASE_32 = string.ascii_uppercase + "234567"


def drawn(chance: random.Random, alphabet: str, n: int) -> str:
    return "".join(chance.choices(alphabet, k=n))


def jwt(chance: random.Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": drawn(chance, ALNUM, 8), "iat": chance.randrange(10**9)})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, drawn(chance, URL_SAFE, 43)])


def private_key(chance: random.Random) -> str:
    kind = chance.choice(["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED ", "DSA "])
    lines = "\n".join(drawn(chance, ALNUM + "+/", 64) for _ in range(chance.randrange(3, 25)))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


MAKERS = {
    "AWS": lambda c: "AKIA" + drawn(c, BASE_32, 16),
    "GitHub": lambda c: f"gh{c.choice('pousr')}_" + drawn(c, ALNUM, 36),
    "GitHub, fine": lambda c: "github_pat_" + drawn(c, ALNUM, 22) + "_" + drawn(c, ALNUM, 59),
    "GitLab": lambda c: "glpat-" + drawn(c, URL_SAFE, 19) + "x",
    "Slack": lambda c: f"xoxb-{c.randrange(10**11, 10**12)}-{c.randrange(10**11, 10**12)}-" + drawn(c, ALNUM, 24),
    "Google": lambda c: "AIza" + drawn(c, URL_SAFE, 34) + "k",
    "Stripe": lambda c: "sk_live_" + drawn(c, ALNUM, 24),
    "npm": lambda c: "npm_" + drawn(c, ALNUM, 36),
    "PyPI": lambda c: "pypi-AgEIcHlwaS5vcmc" + drawn(c, URL_SAFE, 70) + "Q",
    "Hugging Face": lambda c: "hf_" + drawn(c, string.ascii_letters, 34),
    "SendGrid": lambda c: "SG." + drawn(c, ALNUM, 22) + "." + drawn(c, ALNUM, 43),
    "Telegram": lambda c: f"{c.randrange(10**9, 10**10)}:AA" + drawn(c, ALNUM, 33),
    "OpenAI": lambda c: "sk-" + drawn(c, ALNUM, 20) + "T3BlbkFJ" + drawn(c, ALNUM, 20),
    "JWT": jwt,
    "private key": private_key,
}
LEADS = ("", "token: ", "key = '", '"auth": "', "키는 ", "# ", "curl -H 'Authorization: Bearer ", "=", "\n")


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in secrets_in(text)]


@pytest.mark.parametrize("name", MAKERS)
def test_planted_tokens_are_found_whole(name: str) -> None:
    chance = random.Random(name)
    n_found = 0
    for _ in range(60):
        secret = MAKERS[name](chance)
        end = chance.choice(["", '"', " ", "'", "\n"])
        text = f"import os\n# 설정\n{chance.choice(LEADS)}{secret}{end}\nx = 1\n"
        hits = found(text)
        assert all(hit == secret for hit in hits)
        n_found += hits == [secret]
    assert n_found >= 59  # one in a hundred may look like a row or an example by chance


ASSIGNED = [
    'password = "{}"', "DB_PASSWORD: '{}'", '"client_secret": "{}",', "api_key = '{}'", 'const API_KEY = "{}";',
    "config['secret_key'] = '{}'", "export SECRET_TOKEN={}", 'access_token := "{}"', "  auth-token: {}",
    ':password => "{}"',
    "비밀번호 = '{}'", 'final String apiKey = "{}";', "AWS_SECRET_ACCESS_KEY={}", "setCredential: '{}'",
]  # fmt: skip


@pytest.mark.parametrize("form", ASSIGNED)
def test_planted_values_of_names_are_found(form: str) -> None:
    chance = random.Random(form)
    n_found = 0
    for _ in range(50):
        value = drawn(chance, ALNUM, 22) + drawn(chance, string.digits, 2)
        n_found += found(f"# x\n{form.format(value)}\ny = 2\n") == [value]
    assert n_found >= 48


def test_passwords_of_urls() -> None:
    for text in ("postgres://app:s3cr-9Lk2@db.internal:5432/x", "https://bob:hT7pq2Lm@git.onggi.kr/r.git"):
        assert found(text) == [text.split(":")[2].split("@")[0]]


LOOK_ALIKES = [
    # hashes and ids
    'password_hash = "5f4dcc3b5aa765d61d8327deb882cf99"',
    'token_id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"',
    'secret = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"',
    'sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    '"integrity": "sha512-q4K9q8nSn0mO5DfbxoIzbHJ5xFdhfDT4Wm3tTtMzXlBLWlE5H0RgTVgSgkR0yTqCOjWHsCMEN0BHpi7Yd9cmDw=="',
    "Token: `urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2`,",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    # placeholders and examples
    'password = "changeme123"',
    'api_key = "xxxxxxxxxxxxxxxxxxxxxxxx"',
    'api_key = "YOUR_API_KEY_HERE_1234"',
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    'secret = "<your-secret-0123>"',
    'token = "${GITHUB_TOKEN_2024}"',
    "password: {{ vault_db_password_1 }}",
    'password = "%(password)s1234"',
    'token = "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
    'key = "AIzaXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"',
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIE...\\n-----END RSA PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    'password = "********1a"',
    'password = "my-pass-2024"',
    "비밀번호 = '여기에입력123'",
    # code
    "password = os.environ['DB_PASSWORD_2']",
    'password = getpass("Password 1: ")',
    'token = "Bearer "',
    "token = self.lexer.next_token2()",
    'const tokenType = "access_token_v2"',
    'secret_name = "projects/123/secrets/db-1"',
    'PASSWORD_FIELD = "input#login_password1"',
    'case Token.STRING: return "string-literal1";',
    'api_key_header = "X-API-Key-V2"',
    "passwd:x:1000:1000",
    'password_label = "비밀번호를 입력하세요 1"',
    'secret = "correct-horse-battery"',
    'csrf_token = "k3jh4k5j3h4k5j3h4kj5h3k4j5"',
    'next_page_token = "CAUQAAk3jh4k5j3h4k5j3h"',
    # URLs
    "postgres://user:password@localhost/db",
    "redis://:${REDIS_PASSWORD}@cache:6379/0",
    "http://user:pass@example.com/",
    "https://en.wikipedia.org/wiki/Talk:Onggi@home",
    "mongodb://root:secret@mongo:27017",
    "http://[2001:db8::1]:8080/@x",
    # prose
    "The token: see section 4.2.1 of RFC 6749 for access tokens.",
    "Password: at least 8 characters, 1 digit",
    "비밀번호: 8자 이상 영문과 숫자를 섞어 주세요",
]


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name} {shape.literal[0]}")
def test_the_gate_opens_for_every_shape(shape: object) -> None:
    made = [MAKERS[name](random.Random(i)) for name in MAKERS for i in range(3)]
    made += ["https://hooks.slack.com/services/" + "T0AB12CD/B0EF34GH/a8Kd92LmQz71PoXw3Rt5", "ftp://a:b7kqz92x@h.kr"]
    made += ["dop_v1_" + "0a9b8c7d" * 8, "GOCSPX-" + "aZ9" * 9 + "q", "ya29." + "aZ9k" * 10, "whsec_" + "aZ9k" * 9]
    made += ["sk-ant-api03-" + "aZ9k" * 20]
    mine = [text for text in made if shape.pattern.search(text)]  # type: ignore[attr-defined]
    assert mine
    assert texts_that_may_hold(pa.array(mine, pa.large_string())) == list(range(len(mine)))


PIECES = [
    *(make(random.Random(1)) for make in MAKERS.values()),
    *LOOK_ALIKES,
    'password = "Zk3!kdf92kq"',
    "\n",
    " ",
    "가",
    "=",
    '"',
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_what_is_found_lies_apart_in_order_and_behind_the_gate(text: str) -> None:
    spans = list(secrets_in(text))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert not spans or texts_that_may_hold(pa.array([text], pa.large_string())) == [0]


@pytest.mark.parametrize("key", [None, b"a key of 16 byte"])
@pytest.mark.parametrize("name", MAKERS)
def test_masked_secrets_are_none(name: str, key: bytes | None) -> None:
    secret = MAKERS[name](random.Random(5))
    texts = pa.array([f'client_secret = "{secret}"\n'], pa.large_string())
    done = Redactor(frozenset({"secret"}), key).redact(texts, find_pii(texts, ["secret"]))
    assert secret not in done.texts[0].as_py() and done.n_masked == {"secret": 1}
    assert found(done.texts[0].as_py()) == []
    assert ("<SECRET>" in done.texts[0].as_py()) == (key is None)


def test_many_names_cost_no_more_than_their_number() -> None:
    text = "token token_kind = next_token;\n" * 20_000 + 'password = "' + "a" * 100_000
    assert found(text) == []


def test_many_beginnings_of_keys_take_no_time() -> None:
    import time

    start = time.process_time()
    assert not list(secrets_in("-----BEGIN RSA PRIVATE KEY-----\n" * 20_000))
    assert time.process_time() - start < 5
