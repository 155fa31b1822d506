import time
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.main_content import Parts, main_content, read_page, select, write
from curation.main_content_features import NAMES, features
from curation.main_content_limits import ExtractError
from curation.main_content_outline import HINT_AUTOMATON, _hints_in
from curation.main_content_tags import HINT_NAMES, HINTS, TAGS

KOREAN = "옹기는 숨을 쉬는 그릇이라서 장을 담그면 천천히 익는다. 그래서 우리 할머니는 늘 옹기에 간장을 담으셨다. "
ENGLISH = "Earthenware breathes, and whatever ferments in it takes its time; that is why cooks keep using it. "


def everything(html: str) -> str:
    source, page = read_page(html)
    return write(source, page, np.ones(len(page.block_element), np.bool_))


def hints_of(value: str) -> set[str]:
    bits = int(_hints_in(np.frombuffer(value.encode(), np.uint8), 0, len(value.encode()), HINT_AUTOMATON))
    return {name for k, name in enumerate(HINT_NAMES) if bits >> k & 1}


@pytest.mark.parametrize("sentence", [KOREAN, ENGLISH])
def test_the_article_stays_and_what_surrounds_it_goes(sentence: str) -> None:
    links = "".join(f"<li><a href=/{k}>메뉴 menu {k}</a></li>" for k in range(20))
    article = f"<h1>옹기 onggi</h1><p>{sentence * 3}</p><p>{sentence * 5}</p><p>{sentence * 4}</p>"
    text = main_content(
        f"<title>옹기 onggi</title><nav><ul>{links}</ul></nav><main>{article}</main>"
        f"<aside class='sidebar related'><h3>더 보기 more</h3><ul>{links}</ul></aside><footer>Copyright 2026</footer>"
    )
    assert text.count(sentence.strip()) == 12
    assert "menu" not in text
    assert "Copyright" not in text


def test_lines_tables_lists_and_code() -> None:
    html = (
        "<p>one <b>bold</b><i>italic</i> <a href=x>link</a><br>two</p><ul><li>first<li>second</ul>"
        "<table><tr><th>a<th>b<tr><td>1<td>2</table><pre>def f():\n    return  1\n</pre>last"
    )
    assert everything(html) == ("one bolditalic link\ntwo\nfirst\nsecond\na\tb\n1\t2\ndef f():\n    return  1\nlast")


def test_entities_and_white_space() -> None:
    assert (
        everything("<p>a&nbsp;&nbsp;b &lt;c&gt; &amp;amp; &quot;d&quot;\n\n  e&#8217;f</p>")
        == 'a b <c> &amp; "d" e’f'
    )
    assert everything("<p>x</p><p>&nbsp;</p><p>y</p>") == "x\ny"


@pytest.mark.parametrize(
    "secret",
    [
        "<script>SECRET</script>", "<style>SECRET</style>", "<noscript>SECRET</noscript>",
        "<template><p>SECRET</p></template>",
        "<div hidden>SECRET</div>", "<div style='color:red; Display : none'>SECRET<p>SECRET</p></div>",
        "<span aria-hidden='true'>SECRET</span>", "<textarea>SECRET</textarea>", "<select><option>SECRET</select>",
        "<!-- SECRET -->", "<svg><title>SECRET</title><style>SECRET</style></svg>", "<iframe>SECRET</iframe>",
        "<script>document.write('<p>SECRET</p><\\/script>')</script>", "<button>SECRET</button>",
    ],
)  # fmt: skip
def test_what_no_reader_sees_never_leaks(secret: str) -> None:
    assert everything(f"<p>before</p>{secret}<p>after</p>") == "before\nafter"


def test_a_hidden_body_is_shown_by_a_script() -> None:
    assert everything("<body style='display:none'><p>text</p>") == "text"


def test_deep_nesting_costs_time_in_proportion() -> None:
    main_content("<p>warm up")
    start = time.process_time()
    assert main_content("<div>" * 10_000 + ENGLISH + "</div>" * 10_000) == ENGLISH.strip()
    assert main_content("<div>" * 100_000 + ENGLISH) == ENGLISH.strip()
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("", "no_text"),
        ("<p>&nbsp;</p>", "no_text"),
        ("<b>x</b>" * 800_000, "too_many_tags"),
        ("<p>" + "".join(f"<font color={k}>" for k in range(2_000)) + "<p>x" * 2_000, "too_many_tags"),
        ("<select>" + "<option>x" * 30_000, "too_many_tags"),
        ("<p " + " ".join(f"a{k}" for k in range(30_000)) + ">x", "too_many_attributes"),
    ],
)
def test_monsters_fail_with_a_reason(html: str, reason: str) -> None:
    with pytest.raises(ExtractError) as error:
        main_content(html)
    assert error.value.reason == reason


def test_surrogates_and_nul_do_not_come_through() -> None:
    text = main_content("<p>a\0b\ud800c&#xD800;</p>")
    assert "\0" not in text
    text.encode()


def test_hints_match_the_vocabulary_as_plain_substrings_would() -> None:
    assert hints_of("leftNav") == {"nav"}
    assert "nav" not in hints_of("unavailable")
    assert hints_of("post-comments__list") >= {"comment"}
    assert "ad" in hints_of("top ad") and "ad" not in hints_of("headroom-shadow")


@given(st.text("abcdehnostuv-_ ", max_size=30))
def test_the_automaton_agrees_with_substring_search(value: str) -> None:
    squeezed = "_" + "_".join(value.replace("-", " ").replace("_", " ").split()) + "_"
    expected = {name for name, words in HINTS.items() if any(word in squeezed for word in words.split())}
    assert hints_of(value) == expected


TAG_SOUP = [form.format(tag) for tag in TAGS[1:] for form in ("<{}>", "</{}>")] + ["<!--", "-->", "&amp", "<a b='"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(TAG_SOUP) | st.text(max_size=8), max_size=40))
def test_any_tag_soup_gives_the_text_that_the_tree_holds(parts: list[str]) -> None:
    html = "".join(parts)
    source, page = read_page(html)
    assert features(source, page).shape == (len(page.block_element), len(NAMES))
    assert not np.isnan(features(source, page)).any()
    text = write(source, page, np.ones(len(page.block_element), np.bool_))
    held = iter("".join(text_of(source).split()))
    assert all(letter in held for letter in "".join(text.split()))  # in order, and nothing made up


def text_of(source: bytes) -> str:
    """All text of serialised HTML, by the parser of the standard library."""
    parser, texts = HTMLParser(convert_charrefs=True), []
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(source.decode())
    parser.close()
    return "".join(texts)


def test_parts_can_be_switched_off() -> None:
    source, page = read_page(f"<nav class=menu>{ENGLISH}</nav><main><p>{ENGLISH * 5}</p><p>{ENGLISH * 4}</p></main>")
    assert select(source, page, Parts()).tolist()[-2:] == [True, True]
    assert len(select(source, page, Parts(hints=False, second_look=False))) == len(page.block_element)
