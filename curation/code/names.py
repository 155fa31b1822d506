"""What files of source code are called: endings and names per language, beyond and beside those that Pygments knows.

Languages bear the names that GitHub and The Stack give them, so a list of languages taken from there works here.
"""

RENAMED = {
    "aspx-cs": "ASP.NET",
    "aspx-vb": "ASP.NET",
    "Bash": "Shell",
    "ca65 assembler": "Assembly",
    "Component Pascal": "Component Pascal",
    "CUDA": "Cuda",
    "Delphi": "Pascal",
    "Docker": "Dockerfile",
    "EmacsLisp": "Emacs Lisp",
    "Embedded Ragel": "Ragel",
    "FortranFixed": "Fortran",
    "GAS": "Assembly",
    "Hxml": "HXML",
    "liquid": "Liquid",
    "RPMSpec": "RPM Spec",
    "Sed": "sed",
    "Groff": "Roff",
    "Hspec": "Haskell",
    "JSX": "JavaScript",
    "Lean4": "Lean",
    "LessCss": "Less",
    "Literate Haskell": "Haskell",
    "Matlab": "MATLAB",
    "NASM": "Assembly",
    "Nimrod": "Nim",
    "Perl6": "Raku",
    "Properties": "INI",
    "RHTML": "HTML+ERB",
    "S": "R",
    "SQL+Jinja": "SQL",
    "systemverilog": "SystemVerilog",
    "TASM": "Assembly",
    "Text only": "Text",
    "Tcsh": "Shell",
    "Transact-SQL": "SQL",
    "TSX": "TypeScript",
    "VB.net": "Visual Basic .NET",
    "verilog": "Verilog",
    "vhdl": "VHDL",
    "VimL": "Vim script",
}
"""Pygments' names that are called otherwise here."""

_BY_ENDING = {
    "ANTLR": ".g4",
    "AsciiDoc": ".adoc .asciidoc",
    "C": ".c .h .idc",
    "C++": ".cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .inl .ipp .ixx .tcc .tpp .txx",
    "CSS": ".css",
    "CSV": ".csv .tsv",
    "CMake": ".cmake .cmake.in",
    "Handlebars": ".hbs .handlebars .mustache",
    "HCL": ".hcl .tf .tfvars",
    "HTML": ".htm .html .xhtml",
    "HTML+ERB": ".erb .rhtml",
    "Haskell": ".hs .lhs .hsc .hs-boot",
    "Cabal": ".cabal",
    "Fortran": ".f77 .f90 .f95 .f03 .f08 .for .fpp",
    "IDL": ".idl",
    "Graphviz (DOT)": ".dot .gv",
    "INI": ".ini .cfg .conf .editorconfig .gitconfig .properties .desktop .service .la .pc",
    "JSON": ".json .jsonl .ndjson .geojson .webmanifest .topojson .jsonc .json5 .map .avsc .code-workspace",
    "Java": ".java",
    "Jupyter Notebook": ".ipynb",
    "JavaScript": ".js .mjs .cjs .jsx .es6 .jsm",
    "Kconfig": ".kconfig",
    "jq": ".jq",
    "Lex": ".l .ll .lex .flex .jflex",
    "Linker Script": ".ld .lds",
    "M4": ".m4 .ac",
    "Makefile": ".mk .mak .make .am",
    "Markdown": ".md .markdown .mdown .mdx .mkd",
    "OpenCL": ".cl",
    "Org": ".org",
    "Perl": ".pl .pm .t .psgi .xs",
    "Pod": ".pod",
    "Public Key": ".asc .pem .crt .pub .key",
    "Pug": ".pug .jade",
    "Python": ".py .pyi .pyw .bzl .wsgi .py3",
    "QML": ".qml",
    "R": ".r .rsx",
    "RMarkdown": ".rmd .qmd",
    "Roff": ".man .roff .mdoc .1 .2 .3 .4 .5 .6 .7 .8 .9 .3pm .1in",
    "Ruby": ".rb .rake .gemspec .podspec .ru",
    "SVG": ".svg",
    "SystemVerilog": ".sv .svh .vh",
    "Microsoft Visual Studio Solution": ".sln",
    "Erlang": ".erl .hrl .escript .app.src",
    "XSLT": ".xsl .xslt",
    "Scheme": ".scm .ss .sld .sls .sps",
    "Starlark": ".star",
    "Stylus": ".styl",
    "Svelte": ".svelte",
    "Swift": ".swift",
    "TOML": ".toml",
    "TeX": ".tex .sty .cls .ltx .dtx .ins .bbl",
    "Texinfo": ".texi .texinfo .txi",
    "Text": ".txt .text",
    "Tcl": ".tcl .tm .itcl",
    "TypeScript": ".ts .tsx .mts .cts",
    "Visual Basic": ".bas .frm .vba .vbs",
    "Vue": ".vue",
    "WebAssembly": ".wat .wast",
    "XML": ".xml .xsd .rng .plist .csproj .vcxproj .vbproj .props .targets .resx .ui .qrc "
    ".glade .rdf .xmi "
    ".xlf .xliff .dita .wsdl .nuspec .iml .pom .filters .storyboard .xib .doap .metainfo.xml",
    "XPM": ".xpm",
    "XBM": ".xbm",
    "YAML": ".yml .yaml .clang-format .clang-tidy",
    "Yacc": ".y .yy .yxx",
    "reStructuredText": ".rst .rest",
}
ENDINGS = {ending: language for language, endings in _BY_ENDING.items() for ending in endings.split()}
"""Endings in lower case; they go before those of Pygments."""

EXACT_ENDINGS = {".C": "C++", ".H": "C++", ".S": "Assembly", ".R": "R", ".Rd": "Rd", ".PL": "Perl", ".F": "Fortran"}
"""Endings that mean something else in capitals."""

_BY_NAME = {
    "C": "config.h.in",
    "CMake": "cmakelists.txt",
    "Cabal": "cabal.project",
    "Dockerfile": "dockerfile containerfile",
    "Go": "go.mod go.sum go.work",
    "INI": ".npmrc .pylintrc .flake8 .coveragerc setup.cfg tox.ini .gitmodules .hgrc .ctags",
    "Ignore List": ".gitignore .dockerignore .npmignore .hgignore .eslintignore .prettierignore .gitattributes "
    ".cvsignore .bzrignore .gcloudignore .stylelintignore .rbuildignore",
    "JSON": ".babelrc .eslintrc .prettierrc .jshintrc .arclint .arcconfig .bowerrc .nycrc .swcrc .tern-project "
    "composer.lock pipfile.lock .all-contributorsrc .jscsrc .watchmanconfig",
    "M4": "configure.ac configure.in aclocal.m4",
    "Makefile": "makefile gnumakefile makefile.am makefile.in makefile.inc bsdmakefile makefile.common",
    "Meson": "meson.build meson_options.txt meson.options",
    "Proguard": "proguard-rules.pro proguard.pro",
    "Python": "sconstruct sconscript wscript snakefile buck build.bazel workspace.bazel",
    "Ruby": "rakefile gemfile podfile vagrantfile guardfile capfile fastfile brewfile",
    "Shell": ".bashrc .bash_profile .profile .zshrc .envrc pkgbuild configure gradlew bash_completion config.guess "
    "config.sub install-sh ltmain.sh",
    "TOML": "cargo.lock poetry.lock uv.lock pipfile",
    "Text": "authors changelog changes contributors copying copyright credits hacking history install "
    "license licence "
    "maintainers manifest.in news notice readme requirements.txt thanks todo version py.typed changelog.old",
    "YAML": "yarn.lock pubspec.lock citation.cff",
}
NAMES = {name: language for language, names in _BY_NAME.items() for name in names.split()}
"""Whole names in lower case; they go before endings."""

NOT_SOURCE: dict[str, str] = {
    ending: what
    for what, endings in {
        "image": "png jpg jpeg jpe jp2 jxl gif bmp ico icns tif tiff webp avif heic psd xcf tga pcx ppm "
        "pgm pbm pnm dds "
        "ai eps ps cur svgz emf wmf exr hdr kra",
        "sound or film": "wav mp3 ogg oga ogv flac aac m4a m4v mid midi mp4 mov avi mkv webm wmv flv swf "
        "au aiff opus",
        "font": "ttf otf ttc woff woff2 eot pfb pfa pfm afm bdf pcf fon",
        "archive": "zip gz tgz bz2 tbz tbz2 xz txz zst tzst lz lzma z 7z rar tar cpio ar deb rpm apk jar "
        "war ear whl egg "
        "gem crate nupkg cab dmg iso xpi crx vsix ipa",
        "compiled": "o obj a lib so dll dylib exe com pyc pyo pyd class dex elc eln beam wasm bc mo gmo qm "
        "ko pdb ilk node "
        "hi cmo cmi cmx cma cmxa rlib rmeta gch pch vo fasl swiftmodule msi sys efi nib",
        "document": "pdf doc docx xls xlsx ppt pptx odt ods odp odg rtf hwp hwpx djvu epub chm hlp dvi",
        "data": "db sqlite sqlite3 mdb npy npz pkl pickle joblib h5 hdf5 hdf nc fits parquet feather arrow "
        "avro orc mat "
        "rda rdata rds sav dta pt pth ckpt onnx safetensors pb tflite bin dat.gz blob pcap cap img rom nes gb sav",
        "key store": "jks p12 pfx keystore der gpg kdbx",
    }.items()
    for ending in endings.split()
}
"""Endings, without the dot, of what is no source code, and what it is."""
