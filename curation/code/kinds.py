"""What kind of file it is: source that people wrote, or tests, documentation, data, and what tools or others made.

Every file is of one kind; the first of these that fits: vendored (by its path), generated (by its path or by what its
beginning says), minified (by the form of its lines), then test, docs, data, config, and else source.
"""

import re
from enum import StrEnum

from curation.code.generated import GENERATED_PATH, is_generated
from curation.code.minified import is_minified


class FileKind(StrEnum):
    """What a file of a repository is."""

    SOURCE = "source"
    TEST = "test"
    GENERATED = "generated"
    MINIFIED = "minified"
    VENDORED = "vendored"
    DATA = "data"
    DOCS = "docs"
    CONFIG = "config"


VENDORED_PATH = re.compile(
    r"(?:^|/)(?:"
    # folders of others' code
    r"vendors?|_?vendor(?:ed)?|(?:3rd|third)[-_]?part(?:y|ies)|node_modules|bower_components|jspm_packages|site-packages|"
    r"externals?|extern|_externals?|thirdparty|Pods|Carthage|Godeps|\.yarn|\.pnpm|\.vscode|\.idea|gradle/wrapper|"
    r"\.mvn/wrapper|dist|contrib/vendor|deps|embedded-libs|bundled|admin_media|ace-builds|MathJax"
    r"|ckeditor\d*|tiny_?mce|"
    r"CodeMirror|extjs|select2|font-?awesome(?:[-.\d]+)?|_static/(?:js|css|jquery|fonts?)"
    r")/"
    # what autotools and its kin put into a package
    r"|(?:^|/)(?:config\.(?:guess|sub|rpath)|install-sh|mkinstalldirs|depcomp|missing|ltmain\.sh|compile|ar-lib|"
    r"test-driver|ylwrap|mdate-sh|texinfo\.tex|gnupload|elisp-comp|py-compile|shtool|"
    r"(?:libtool|lt(?:options|sugar|version|~obsolete)|pkg|gettext|iconv|intl\w*|inttypes\w*|lib-(?:ld|link"
    r"|prefix)|nls|"
    r"po|progtest|ax_\w+|acx?_\w+)\.m4|Makefile\.in\.in|Makevars\.template|remove-potcdate\.sin|"
    r"cpplint\.py|ez_setup\.py|distribute_setup\.py|versioneer\.py|ppport\.h|erlang\.mk|waf|gradlew(?:\.bat)?|"
    r"mvnw(?:\.cmd)?|uthash\.h|catch(?:_amalgamated)?\.[hc]pp|doctest\.h|sqlite3(?:ext)?\.[ch]|stb_\w+\.h"
    r"|miniz\.[ch]|"
    r"getopt_long\.c|pdf\.worker\.js|dotnet-install\.(?:ps1|sh))$"
)
"""Files of others that projects carry along (as linguist's vendor.yml, in other words)."""

LIBRARY = re.compile(
    r"(?:^|/)(jquery|bootstrap|angular|react|vue|backbone|underscore|lodash|moment|modernizr|mootools|prototype|"
    r"normalize|font-?awesome|foundation|knockout|require|handlebars|d3|three|dojo|html5shiv|respond"
    r"|highcharts|leaflet|"
    r"swfobject|polyfills?|sizzle|zepto|doctools|searchtools|json2|raphael|mathjax|prettify|shCore"
    r"|shBrush\w+|scriptaculous|"
    r"jquery[-.\w]*|bootstrap[-.]\w+|yui[-.\w]*)(?:[-.]v?\d[\d.]*)?(?:[-.](?:min|slim|bundle|pack|prod|umd"
    r"|esm|full|all))*"
    r"\.(?:js|css|less|s[ac]ss)$",
    re.IGNORECASE,
)
"""Libraries by the names of their files, in other repositories than their own."""

TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|__mocks__|testsuites?|test[-_]?(?:data|cases?|files|utils?)"
    r"|unit[-_]?tests?|"
    r"e2e|fixtures?|t|regress(?:ion)?s?|functionaltests?|integrationtests?|[a-z]+[-_]tests?|androidTest"
    r"|UnitTests?|[A-Z]\w*Tests?)/"
    r"|(?:^|/)(?:test[-_][^/]*|[^/]*[-_.]tests?|[^/]*[-_.]spec|conftest|tests|[^/]*\w_(?:unit)?test)\.[A-Za-z+]+$"
    r"|(?:^|/)[A-Z]\w*(?:Tests?|TestCase|Spec|IT)\.(?:java|kt|kts|scala|groovy|cs|swift|php|fs|vb|m|mm|cpp|hs)$"
    r"|(?:^|/)[^/]+\.t$"
)

DOCS_NAME = re.compile(
    r"(?:^|/)(?:read[-_]?me|change(?:s|log)?|news|history|authors|contributors|contributing|copying"
    r"|copyright|licen[cs]es?|"
    r"notice|install|todo|thanks|credits|hacking|maintainers|code_of_conduct|security|release[-_]?notes?|upgrading|"
    r"faq|citation|acknowledge?ments|patents)(?:[-._][\w.-]*)?$",
    re.IGNORECASE,
)
PROSE = frozenset(
    ["Markdown", "reStructuredText", "Text", "AsciiDoc", "Org", "Pod", "Roff", "Texinfo", "RMarkdown", "Rd", "TeX"]
)
DOCS_FOLDER = re.compile(r"(?:^|/)(?:docs?|documentation|man|javadoc|manuals?|website|wiki)/", re.IGNORECASE)
MARKUP = frozenset({"HTML", "CSS", "XML", "DTD", "SGML", "SCSS", "Less"})

ALWAYS_DATA = frozenset({"CSV", "SVG", "XPM", "XBM", "Gettext Catalog", "Diff", "Public Key", "Turtle", "PostScript"})
DATA = frozenset({"JSON", "XML", "YAML", "TOML", "INI", "JSON5", "JSON-LD", "Ignore List", "Text", "SQL", "HTML"})
"""Languages of which large files are data: tables, dictionaries, dumps."""
CONFIG = frozenset(
    {"JSON", "XML", "YAML", "TOML", "INI", "JSON5", "Ignore List", "Kconfig", "Desktop file", "Systemd", "HCL"}
)

_FIRST_CHARS = 20_000


def file_kind(path: str, language: str | None, text: str, data_bytes: int, repository: str = "") -> FileKind:
    """The kind of the file at `path`, relative to its repository; files of data that are larger than `data_bytes`
    (in characters) are `data`, smaller ones may be configuration."""
    library = LIBRARY.search(path)
    if VENDORED_PATH.search(path) or (library and _first_word(library[1]) not in repository.lower()):
        return FileKind.VENDORED
    if GENERATED_PATH.search(path) or is_generated(path, language, text[:_FIRST_CHARS], text[-2000:]):
        return FileKind.GENERATED
    if is_minified(path, language, text):
        return FileKind.MINIFIED
    return _by_use(path, language, len(text) > data_bytes)


def _first_word(name: str) -> str:
    return re.split(r"[-._\d]", name.lower())[0]


def _by_use(path: str, language: str | None, is_large: bool) -> FileKind:
    if language in ALWAYS_DATA or language is None:
        return FileKind.DATA
    if DOCS_NAME.search(path) and (language in PROSE or "." not in path.rpartition("/")[2]):
        return FileKind.DOCS
    if is_large and language in DATA and language not in PROSE and language != "SQL":
        return FileKind.DATA
    if TEST_PATH.search(path):
        return FileKind.TEST
    if language in PROSE or (language in MARKUP and DOCS_FOLDER.search(path)):
        return FileKind.DOCS
    return FileKind.CONFIG if language in CONFIG else FileKind.SOURCE
