"""Wikitext to text: what each construct becomes; formulas counted in and out; any text in linear time."""

import random
import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.wikitext import tokens as wikitext_tokens
from curation.wikitext.guard import MAX_UNCLOSED, without_unclosed
from curation.wikitext.text import Converter, PageText
from manifests.schema_readers import Mediawiki
from tests.curation.wiki_dump import WikiPage, count_formulas, latex_of, written_pages

pytest.importorskip("mwparserfromhell")

PAGES = [("ko", page) for page in written_pages("ko")] + [("en", page) for page in written_pages("en")]
LOST = {
    "피타고라스 정리": "1 of 12: 1 in section",
    "이상 기체 법칙": "1 of 7: 1 in infobox",
    "슈뢰딩거 방정식": "1 of 2: 1 in reference",
    "상대성 이론": "2 of 5: 2 in section",
    "푸리에 변환": "1 of 3: 1 in template",
    "벡터": "1 of 4: 1 in reference",
    "컴퓨터 과학": "1 of 2: 1 in table",
    "감마 함수": "1 of 4: 1 in template",
    "Quadratic formula": "1 of 4: 1 in section",
    "Kinetic energy": "1 of 2: 1 in infobox",
    "Set theory": "1 of 4: 1 in template",
}
"""Pages of which not all formulas are kept, and what the note says."""


def convert(wikitext: str, language: str = "ko", **policy: object) -> PageText:
    return Converter(Mediawiki.model_validate(policy), language=language).text_of(wikitext, "제목")


def text(wikitext: str, language: str = "ko", **policy: object) -> str:
    return convert(wikitext, language, **policy).text


@pytest.mark.parametrize(("language", "page"), PAGES, ids=lambda value: getattr(value, "title", value))
def test_each_formula_of_a_page_is_in_its_text_or_in_a_note(language: str, page: WikiPage):
    made = convert(page.text, language)
    assert made.n_formulas_in == count_formulas(page.text)
    notes = {note.kind: note.detail for note in made.notes}
    assert notes.get("formulas_dropped") == LOST.get(page.title)
    n_lost = int(LOST[page.title].split()[0]) if page.title in LOST else 0
    assert made.n_formulas == made.n_formulas_in - n_lost
    missing = [tex for tex in latex_of(page.text) if tex not in made.text]
    assert len(missing) <= n_lost


def test_formulas_written_are_formulas_counted():
    for language, page in PAGES:
        made = convert(page.text, language, formulas="tags")
        assert (
            len(re.findall(r"<(?:math|chem|ce)(?: display=\"block\")?>", made.text))
            - made.text.count("<math>이것은 식")
            - made.text.count("<math>는 태그")
            == made.n_formulas
        )


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a <math>\\frac{a}{b}</math>,", "a $\\frac{a}{b}$,"),
        (":<math>x|y</math>.", "$$x|y$$."),
        ('<math display="block">x</math>', "$$x$$"),
        ("* <math>x</math>", "- $x$"),
        ("a <chem>H2O</chem>", "a $\\ce{H2O}$"),
        ("{{chem|SO|4|2-}}은", "$\\ce{SO4^{2-}}$은"),
        ("a {{math|''E'' {{=}} ''mc''<sup>2</sup>}}", "a $E = mc^{2}$"),
        ("a {{수식|''x''{{위첨자|2}}{{아래첨자|i}}}}", "a $x^{2}_{i}$"),
        ("a {{수학|{{sfrac|''a''|2}}}}", "a $\\frac{a}{2}$"),
        ("{{NumBlk|:|<math>x</math>|{{EquationRef|1}}}}", "$$x$$ (1)"),
        ("{{큰 수식|''x'' {{=}} 1}}", "$$x = 1$$"),
        ("{{math|<math>x</math>}} b", "$x$ b"),
        ("{{frac|3|1|2}} {{frac|1|2}} {{sfrac|a|b}}", "3 1/2 1/2 $\\frac{a}{b}$"),
        ("{{수식|\\frac{a}{b}}}이다", "$\\frac{a}{b}$이다"),
        ("{{tmath|a = b}}이다", "$a = b$이다"),
        ("a <math>&lt;</math>", "a $&lt;$"),
        ("<math></math>a<math/>", "a"),
    ],
)
def test_formulas(wikitext, expected):
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("{{lang|en|text}}", "text"),
        ("{{llang|en|text}} {{lang-de|Wort}} {{독일어|Wort}}", "영어: text 독일어: Wort 독일어: Wort"),
        ("{{한자|韓國}}", "한자: 韓國"),
        ("{{나라글|대한민국}}", "대한민국"),
        ("{{convert|5|km|mi}}", "5 km"),
        ("{{convert|5|to|10|km2}} {{convert|5|ft|8|in|m}} {{convert|5|km|mi|0}}", "5 to 10 km² 5 ft 8 in 5 km"),
        ("{{val|1.2|(5)|e=6|u=m/s2}} {{val|1|0.1}}", "1.2(5)×10⁶ m/s² 1±0.1"),
        ("{{nowrap|{{lang|ja|{{루비|漢字|かんじ}}}}}}", "漢字(かんじ)"),
        ("{{인용문|글|지은이}}", "글\n— 지은이"),
        ("{{출생일|1397|05|15}}", "1397년 5월 15일"),
        ("{{hlist|a|b}} {{Nihongo|X|日|Y}}", "a, b X (日, Y)"),
        ("{{틀:nowrap|a}} {{ NoWrap | b }} {{no_wrap|c}}", "a b c"),
        ("이름({{IPA|x}}, {{모름}}; 1900년)은 ({{모름}})이다", "이름(x; 1900년)은이다"),
        ("a {{모름|b}}", "a"),
        ("{{{1|기본}}}{{{2}}}", "기본"),
        ("{{formatnum:1234}} {{PAGENAME}} {{#if:x|y}}", "1234 제목"),
    ],
)
def test_templates_that_say_something(wikitext, expected):
    assert text(wikitext) == expected


def test_dropped_templates_are_counted_and_unknown_ones_named():
    made = convert("a {{각주}}{{모르는 틀|{{cite web|x}}}}{{모르는_틀}} <ref>{{다른 틀}}</ref>")
    assert (made.text, made.n_templates_dropped) == ("a", 3)
    assert [(note.kind, note.detail) for note in made.notes] == [("unknown_template", "모르는 틀")]
    assert text("{{내 틀|a|b|글=c}}", keep_templates={"내 틀": 2}) == "b"
    assert text("{{내_틀|a|b|글=c}}", keep_templates={"내 틀": "글"}) == "c"
    assert text("{{내 틀|a|b}}", keep_templates={"내 틀": "all"}) == "a b"


@pytest.mark.parametrize(
    ("wikitext", "expected", "noted"),
    [
        ("인구는 {{#expr:1+2}}명", "인구는 명", ["#expr"]),
        ("{{formatnum:{{#expr:1+2}}}}명 {{#expr:3*4}}", "명", ["#expr"]),
        ("{{#expr: 12 }} {{formatnum:{{#expr:-3.5}}}}", "12 -3.5", []),
        ("{{#if:x|y}} {{#switch:a|a=1}}a", "a", ["#if", "#switch"]),
        ("{{#if:|y}} {{#if: |{{#if:|y|z}}}}a", "a", []),
        ("{{#if:|y|z}}a", "a", ["#if"]),
        ("{{#if:{{모름}}|y}}a", "a", ["#if"]),
        ("{{기본정렬:가}}{{#tag:ref|x}}{{DISPLAYTITLE:x}}a<ref>{{#expr:1+2}}</ref>", "a", []),
        ("{{PAGESINCAT:가}}개", "개", ["pagesincat"]),
        ("{{ucfirst:abc}} {{lcfirst:ABC}} {{lc:ABC}}", "Abc aBC abc", []),
    ],
)
def test_parser_functions_that_are_not_computed_are_noted(wikitext, expected, noted):
    made = convert(wikitext)
    assert made.text == expected
    assert [note.detail for note in made.notes if note.kind == "parser_function"] == noted


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("'''굵''' ''기'' '''''둘''''' l'''x", "굵 기 둘 lx"),
        ("[[a]] [[b|c]] [[:분류:d|e]] [[가 (나)|]]s [[f#g|h]]", "a c e 가s h"),
        ("x [[분류:y]][[en:Z]] [[wikt:a|b]]", "x b"),
        ("[[파일:a.jpg|섬네일|200px|설명 [[b|c]]|대체글=d]]", "설명 c"),
        ("a [[File:a.jpg|20px|x]] b", "a b"),
        ("[http://a.b 글] [http://c.d] http://e.f", "글 http://e.f"),
        ("== 가 ==\n나\n=== 다 ===\n라", "## 가\n\n나\n\n### 다\n\n라"),
        ("== 가 ==\n== 나 ==\n다\n== 라 ==", "## 나\n\n다"),
        ("* a\n** b\n*# c\n*# d\n# e\n# f\n\n# g", "- a\n  - b\n  1. c\n  2. d\n1. e\n2. f\n\n1. g"),
        ("; 말 : 뜻\n: 들임", "말 : 뜻\n들임"),
        ("a<!-- b -->c<ref>d</ref><ref name=x /> __NOTOC__e", "ac e"),
        ("a&nbsp;b &amp; &lt;b&gt; &#48; &#x41; &lt;ref&gt;", "a b & <b> 0 A <ref>"),
        ("<nowiki>''a'' [[b]] {{c}}</nowiki>", "''a'' [[b]] {{c}}"),
        ("<code>x</code>\n<pre>\n a  ''b''\n</pre>", "`x`\n\n```\n a  ''b''\n```"),
        ('<syntaxhighlight lang="c">\nint  x;\n</syntaxhighlight>', "```c\nint  x;\n```"),
        ("10<sup>−6</sup> H<sub>2</sub>O 1<sup>st</sup> x<sup>가</sup>", "10⁻⁶ H₂O 1st x가"),
        ("-{한국}- -{zh-hans:甲;zh-hant:乙}-", "한국 甲"),
        ("<div class=navbox>a</div><span style='display: none'>b</span>c", "c"),
        ("<div>a <small>b", "a b"),
        ("<poem>\na\nb\n</poem>", "a\nb"),
        ("<gallery>\nA.jpg|alt=x|[[b|c]]\nB.jpg\n</gallery>", "- c"),
        ("a<br>b<br />c", "a\nb\nc"),
        ("__init__ '한글' ㅋㅋ", "__init__ '한글' ㅋㅋ"),
    ],
)
def test_markup(wikitext, expected):
    assert text(wikitext) == expected


TABLE = '{| class="wikitable"\n|+ 표\n! 가 !! 나\n|-\n| 1 || <math>a|b</math>\n|-\n| colspan=2 | 셋\n|}'


def test_tables_by_policy():
    assert text(TABLE) == "표\n가 | 나\n1 | $a|b$\n셋"
    assert text(TABLE, tables="markdown") == "표\n| 가 | 나 |\n| --- | --- |\n| 1 | $a|b$ |\n| 셋 | |"
    dropped = convert(TABLE, tables="drop")
    assert (dropped.text, dropped.n_formulas, dropped.n_formulas_in) == ("", 0, 1)
    assert [note.detail for note in dropped.notes] == ["1 of 1: 1 in table"]
    assert text("{|\n| a\n{|\n| b || c\n|}\n|| d\n|}") == "a b | c | d"
    assert text("{|\n| 긴 글\n\n둘째 문단\n|}") == "긴 글\n\n둘째 문단"
    assert text("<table><tr><th>a<td>b<tr><td>c</table>").split() == ["a", "b", "c"]
    assert text("{|\n| 끝이 || 없다\n|-\n| 표") == "끝이 | 없다\n\n표"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            "!rowspan=2|가||colspan=2|나\n|-\n|다||라\n|-\n|1||2||3",
            ["| 가 | 나 | |", "| | 다 | 라 |", "| 1 | 2 | 3 |"],
        ),
        ("|rowspan=2 colspan=2|a||b\n|-\n|c\n|-\n|d", ["| a | | b |", "| | | c |", "| d | | |"]),
        ("|a||rowspan=3|b\n|-\n|c\n|-\n|d\n|-\n|e||f", ["| a | b |", "| c | |", "| d | |", "| e | f |"]),
        ("|rowspan=0|a||rowspan=x|b\n|-\n|c", ["| a | b |", "| c | |"]),
    ],
)
def test_cells_of_several_rows_leave_their_columns(rows, expected):
    header, _, *others = text(f"{{|\n{rows}\n|}}", tables="markdown").split("\n")
    assert [header, *others] == expected


def test_wide_rows_do_not_fill_a_long_table():
    for rows in ("|a" + "||b" * 3000 + "\n" + "|-\n|a\n" * 3000, "|-\n|rowspan=999|a\n" * 3000):
        made = text("{|\n" + rows + "|}", tables="markdown")
        assert len(made) < 8 * len(rows) + 100_000  # filled up, nine million cells


def test_infoboxes_captions_and_sections_by_policy():
    box = "{{인물 정보|이름=세종|그림=a.jpg|직업={{hlist|왕|학자}}}}글"
    assert text(box) == "글"
    assert text(box, infoboxes="text") == "이름: 세종\n직업: 왕, 학자\n\n글"
    assert text("[[파일:a.jpg|섬네일|설명]]글", captions="drop") == "글"
    page = "글\n== 같이 보기 ==\na\n=== 더 ===\nb\n== External links ==\nc\n== 끝 ==\nd"
    assert text(page) == "글\n\n## 끝\n\nd"
    assert text(page, drop_sections=["끝"]).endswith("## External links\n\nc")
    assert "## 같이 보기\n\na" in text(page, drop_sections=[])


def test_disambiguation_is_seen():
    for name in ("동음이의", "Disambig", "동명이인"):
        assert convert(f"* [[가]]\n{{{{{name}}}}}").disambiguation
    assert not convert("{{다른 뜻}}").disambiguation


def test_the_tokenizer_in_python_gives_the_same(monkeypatch):
    expected = [convert(page.text, language) for language, page in PAGES]
    import mwparserfromhell.parser

    monkeypatch.setattr(mwparserfromhell.parser, "CTokenizer", None)
    assert [convert(page.text, language) for language, page in PAGES] == expected


def test_a_tokenizer_that_fails_costs_the_markup_not_the_page(monkeypatch):
    from mwparserfromhell.parser import ParserError

    def fail(text):
        raise ParserError("broken")

    monkeypatch.setattr("curation.wikitext.render.tokenize", fail)
    made = convert("'''글''' [[a]] <br>b")
    assert (made.text, made.notes[0].kind) == ("글 a\nb", "parser_failed")


def test_tokens_that_end_too_early_cost_the_markup_of_their_section(monkeypatch):
    def cut_short(text):
        tokens = wikitext_tokens.tokenize(text)
        return tokens[:-1] if "[[가]]" in text else tokens

    monkeypatch.setattr("curation.wikitext.render.tokenize", cut_short)
    made = convert("앞 <math>a</math>\n== 나 ==\n[[다]] <math>b</math>\n== 라 ==\n[[가]]")
    assert made.text == "앞 $a$\n\n## 나\n\n다 $b$\n== 라 ==\n가"
    assert [note.detail for note in made.notes] == ["1 sections are read as plain text"]
    assert text("[[]] [[|]] a") == "a"


def test_the_collector_runs_again_after_a_page():
    import gc

    with wikitext_tokens.collector_paused():
        text("a")
        assert not gc.isenabled()
    assert gc.isenabled()


MARKS = (
    *(
        "{{",
        "}}",
        "[[",
        "]]",
        "{|",
        "|}",
        "{{{",
        "}}}",
        "|",
        "||",
        "=",
        "==",
        "\n",
        "\n|-",
        "\n!",
        "*",
        "#",
        ":",
        ";",
    ),
    *(
        "''",
        "'''",
        "<!--",
        "-->",
        "<math>",
        "</math>",
        "<ref>",
        "</ref>",
        "<ref name=a/>",
        "<div ",
        "</div>",
        ">",
        "<b>",
    ),
    *(
        "&nbsp;",
        "&#",
        "-{",
        "}-",
        "http://a ",
        "[http://a ",
        "]",
        "__NOTOC__",
        "lang|en|",
        "math|",
        "convert|5|",
        "val|",
    ),
    *(
        "<nowiki>",
        "</nowiki>",
        "<gallery>",
        "</gallery>",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "파일:a|섬네일|",
        "\ufdd0",
    ),
    *(
        "가",
        "ㅋㅋ",
        "ᄒᆞᆫ",
        "e\u0301",
        " ",
        "a",
        "1",
        "frac|1|2",
        "sqrt|",
        "hlist|",
        "\ufdd3*",
        "{{!}}",
        "<syntaxhighlight>",
    ),
)
markup = st.lists(st.sampled_from(MARKS) | st.text(max_size=4), max_size=60).map("".join)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(markup, st.sampled_from(["drop", "text", "markdown"]), st.sampled_from(["latex", "tags"]))
def test_any_text_gives_text(wikitext, tables, formulas):
    made = convert(wikitext, tables=tables, formulas=formulas, infoboxes="text")
    made.text.encode()
    assert not re.search("[\ufdd0-\ufddf]", made.text)
    assert 0 <= made.n_formulas <= made.n_formulas_in


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="가나다라ㄱㅋㅠᄒᆞᆫㆍ한글 漢字abc.,?!\n", max_size=200))
def test_text_without_markup_stays(plain):
    kept = text(plain)
    assert kept.split() == plain.split()
    assert unicodedata.normalize("NFC", kept) == kept or unicodedata.normalize("NFC", plain) != plain


PAIRS = {"{{a|": "}}", "[[a|": "]]", "<b>": "</b>", "{|\n|": "\n|}\n", "[http://a ": "]", "<div a=b>": "</div>"}


@pytest.mark.parametrize(
    "unit", [*MARKS, *PAIRS, "{{a|b=[[", "[[a|{{b|", "<td>\n==a", "{{{{", "[[[[", '<div x="', "{{a|\n"]
)
def test_repeated_marks_take_linear_time(unit):
    for wikitext in (unit * (60_000 // len(unit)), (unit + PAIRS.get(unit, "")) * (30_000 // len(unit))):
        start = time.process_time()
        convert(wikitext)
        assert time.process_time() - start < 2  # a quadratic one takes minutes


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [*MARKS, *PAIRS, "{{x}}(", "({{x}},", "[[a|", "* [[a]]\n", "{|\n| a\n|}\n", "== a ==\n"]
)
def test_much_of_one_mark_takes_linear_time(unit):
    start = time.process_time()
    convert(unit * (600_000 // len(unit)))
    assert time.process_time() - start < 6  # of lists alone, a quadratic one takes 16 seconds


def test_deep_and_crossing_markup_takes_linear_time():
    rng = random.Random(5)
    mixed = ["".join(rng.choices(MARKS, k=12_000)) for _ in range(3)]
    nested = [(begin * 4000 + end * 4000) for begin, end in PAIRS.items()]
    for wikitext in mixed + nested:
        start = time.process_time()
        convert(wikitext)
        assert time.process_time() - start < 3


def test_a_megabyte_of_openings():
    for unit in ("{{{{", "[[[[", "{{a|"):
        start = time.process_time()
        made = convert(unit * (1_000_000 // len(unit)))
        assert time.process_time() - start < 10
        assert made.notes[0].kind == "unclosed_markup"


def test_openings_are_broken_up_only_where_many_have_no_end():
    few = "{{a|" * MAX_UNCLOSED + "{{b}} [[c]]"
    assert without_unclosed(few) == (few, 0)
    broken, n_broken = without_unclosed("{{a|<b>[[" * 20 + "{{b}} [[c]] <i>d</i>")
    assert (n_broken, broken.count("{{"), broken.count("[["), broken.count("<")) == (60, 1, 1, 2)
    inside = "<math>" + "{{" * 50 + "</math><!-- " + "[[" * 50 + " -->"
    assert without_unclosed(inside) == (inside, 0)
    assert text("{{nowrap|글}} " + "[[" * 50) == "글"
