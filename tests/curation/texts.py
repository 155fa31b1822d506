"""Texts for property tests: what breaks the counting of words, lines and characters, and much of it repeated."""

from hypothesis import strategies as st

WHITE_SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
SPACES = ["\n", "\n", "\n\n", "\n\n\n", "\r\n", " \n", " ", " ", " ", *WHITE_SPACE]
WORDS = [
    *(
        "the",
        "be",
        "with",
        "The",
        "word",
        "a",
        "bc",
        "ab",
        "c",
        "x" * 1001,
        "é",
        "e\u0301",
        "ﬁ",
        "İ",
        "ß",
        "१",
        "１",
        "½",
    ),
    *(
        "한국어",
        "한국",
        "어",
        "학교에서",
        "나는",
        "집으로",
        "갔다",
        "ㅋㅋㅋ",
        "ㅠㅠ",
        "재밌다ㅋㅋ",
        "\u1112\u1161\u11ab",
        "ﾻﾻ",
        "API를",
    ),
    *("👍", "👩\u200d👩\u200d👧", "\u200b", "\ufeff", "\x00", "𝒳", "𐩖", "\U0010ffff", "漢字"),
    *(
        "#",
        "##",
        "...",
        "....",
        "......",
        "…",
        "•",
        "-",
        "- a",
        "(",
        ")",
        '"',
        "'",
        ".",
        "?",
        "!",
        "。",
        "？",
        "다.",
        "end.",
        "so...",
    ),
    *("[1]", "[", "[]", "[१]", "[edit]", "[citation needed]", "[12", "foo[3].", "java[1]script", "[edit", "{", "}"),
    *(
        "lorem ipsum",
        "Lorem IPSUM.",
        "JavaScript",
        "privacy policy",
        "use cookies.",
        "use coo\u212aies.",
        "Terms of Use.",
    ),
    *(
        "카지노사이트",
        "카.지.노.사.이.트",
        "카 지 노 사이트",
        "토토사이트",
        "먹튀검증",
        "■",
        "ㆍ",
        "(서울)은",
        "3은",
        "은",
    ),
]

_tokens = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
_clauses = st.lists(st.tuples(_tokens, st.sampled_from(SPACES)), max_size=12).map(
    lambda pairs: "".join(token + space for token, space in pairs)
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text of a few clauses, some of them several times."""
    clauses = draw(st.lists(_clauses, min_size=1, max_size=4))
    order = draw(st.lists(st.sampled_from(clauses), max_size=10))
    return draw(st.sampled_from(["", " ", "\n", "\n\n"])).join(order) + draw(_tokens | st.just(""))
