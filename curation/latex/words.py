"""What commands and environments take and mean: tables that the conversion to text reads.

Arguments are written as letters: `*` a star, `o` an option in brackets and `p` one in parentheses, both left out; `m`
an argument that is left out, `t` one that is text.
"""

from curation.latex.scan import names

HEADINGS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
    "addchap": 1, "addsec": 2, "frametitle": 3,
}  # fmt: skip
"""Levels of `#`; the document's title is one `#` too."""

TITLES = ("title", "icmltitle", "ijcaititle", "Title", "aistatstitle", "papertitle")

ARGUMENTS = {
    name: spec
    for spec, commands in {
        "m": "label pagestyle thispagestyle bibliographystyle bibliography hyphenation input include subfile "
        "index glossary nocite tikzset pgfplotsset lstset hypersetup geometry captionsetup usetikzlibrary "
        "pgfkeys setlist theoremstyle selectlanguage pagenumbering newcounter stepcounter refstepcounter "
        "newlength newsavebox usebox graphicspath color pagecolor rowcolor cellcolor columncolor todo "
        "phantom hphantom vphantom date email ead affil affils pacs institute institution affiliation city "
        "country state streetaddress postcode orcid received accepted revised published cline fontfamily "
        "fontencoding fontseries fontshape setstretch linespread enlargethispage includeonly setmainfont "
        "setsansfont setmonofont setmainhangulfont setsanshangulfont hangulfont usetheme usecolortheme "
        "acmConference acmDOI acmISBN acmYear acmVolume acmNumber acmArticle acmMonth acmPrice setcopyright "
        "copyrightyear ccsdesc tablewidth tabletypesize DeclareOption affiliations address curraddr urladdr "
        "dedicatory setdefaultlanguage setmainlanguage setotherlanguage externaldocument citestyle bibpunct "
        "preprint corref fnref cortext tnotetext tnoteref theoremheaderfont bibinfo titleformat special message "
        "typeout wlog errmessage mark psfig epsfig epsfbox epsffile plotone IfFileExists InputIfFileExists "
        "@ifundefined @ifpackageloaded @ifclassloaded @namedef @nameuse",
        "mm": "setlength addtolength setcounter addtocounter numberwithin settowidth settoheight settodepth "
        "markboth fontsize providelength DeclareUnicodeCharacter setbeamerfont setbeamercolor "
        "setbeamertemplate newfontfamily newunicodechar SetKwInOut SetKwFunction sbox plottwo @addtoreset "
        "@removefromreset",
        "mmm": "definecolor crefname Crefname addcontentsline newacronym DeclareAcronym",
        "om": "usepackage RequirePackage documentclass documentstyle author thanks authorrunning titlerunning "
        "fntext thanksref addbibresource fancyhead fancyfoot lhead rhead chead lfoot rfoot cfoot inst "
        "markright PassOptionsToPackage authornote numberofauthors declaretheorem",
        "*m": "vspace hspace",
        "*oom": "includegraphics includesvg",
        "*momo": "newtheorem newmdtheoremenv spnewtheorem",
        "omm": "newcolumntype rule",
        "*o": "linebreak pagebreak nolinebreak nopagebreak allowdisplaybreaks",
        "o": "footnotemark printbibliography printindex",
        "opm": "cmidrule",
        "ot": "hyperref",
        "mt": "href scalebox colorbox adjustbox hypertarget hyperlink",
        "omt": "textcolor rotatebox foreignlanguage",
        "mmt": "multicolumn fcolorbox",
        "*mmt": "resizebox",
        "moot": "raisebox",
        "ooomt": "parbox",
        "oot": "makebox framebox",
        "omomot": "multirow",
        "mtt": "ifthenelse iftoggle ifbool",
        "tm": "texorpdfstring",
        "mom": "savebox",
        "pm": "put",
    }.items()
    for name in commands.split()
}

CITED = names(
    "cite citep citealp parencite autocite footcite cites citenum citeyearpar supercite smartcite onlinecite "
    "Cite Citep Parencite Autocite citeyearshortcite"
)
"""Citations in brackets or notes."""
CITED_AS_WORDS = names(
    "citet citealt textcite citeauthor Citet Textcite Citeauthor citeA citeN fullcite citeauthoryear citetext "
    "shortciteN newcite"
)
"""Citations that are part of the sentence."""
QUOTES = {
    "enquote": "*", "say": "", "textquote": "*oo", "blockquote": "oo", "foreignquote": "*m", "hyphenquote": "*m",
    "foreigntextquote": "*moo", "textcquote": "*oom", "blockcquote": "oom",
}  # fmt: skip
"""Commands that put quotation marks around their last argument."""
REFERRED = names("ref eqref pageref autoref cref Cref nameref vref subref prettyref labelcref fref Fref zcref")

LAYOUT = names(
    "noindent indent centering raggedright raggedleft newpage clearpage cleardoublepage smallskip medskip "
    "bigskip hfill vfill hfil vfil maketitle tableofcontents listoffigures listoftables appendix frontmatter "
    "mainmatter backmatter hline toprule midrule bottomrule endhead endfirsthead endfoot endlastfoot "
    "makeatletter makeatother relax protect bf it em rm sf tt sl sc bfseries itshape ttfamily rmfamily "
    "sffamily upshape mdseries slshape scshape normalfont tiny scriptsize footnotesize small normalsize large "
    "Large LARGE huge Huge sloppy fussy boldmath unboldmath selectfont onecolumn twocolumn flushbottom "
    "raggedbottom nonumber notag leavevmode ignorespaces ignorespacesafterend unskip null strut break nobreak "
    "allowbreak goodbreak eject bigbreak medbreak smallbreak begingroup endgroup bgroup egroup else fi or "
    "singlespacing doublespacing onehalfspacing balance flushleft FloatBarrier singlespace doublespace "
    "normalbaselines hss vss filbreak"
)

SPACES = frozenset(("quad", "qquad", "enspace", "enskip", "thinspace", "space", "hfill", "nobreakspace"))
LENGTHS = names(
    "vskip hskip kern parindent parskip baselineskip hsize vsize textwidth textheight oddsidemargin "
    "evensidemargin topmargin headheight headsep footskip leftskip rightskip hoffset voffset tabcolsep "
    "arraycolsep raise lower moveleft moveright penalty hangindent hangafter overfullrule tolerance "
    "abovedisplayskip belowdisplayskip columnsep itemsep parsep topsep partopsep leftmargin rightmargin "
    "baselinestretch lineskip pretolerance hbadness vbadness emergencystretch magnification interlinepenalty "
    "widowpenalty clubpenalty floatsep textfloatsep intextsep footnotesep labelsep labelwidth itemindent jot "
    "marginparwidth pageno"
)
"""Registers and primitives that are followed by a number or a length."""

MUTED = names(
    "tikzpicture pspicture pspicture* picture pgfpicture asy asydef forest fmffile fmfgraph fmfgraph* feynman "
    "CCSXML filecontents filecontents* comment overpic circuitikz tikzcd psmatrix xy code-example postscript "
    "axis lilypond gnuplot sagesilent sagecommandline filecontentsdef"
)
"""Drawings, and what is not read as a document."""

FIGURES = names(
    "figure figure* wrapfigure wrapfigure* SCfigure SCfigure* sidewaysfigure sidewaysfigure* floatingfigure "
    "subfigure subfigure* teaserfigure marginfigure"
)
TABLES = names("table table* wraptable sidewaystable sidewaystable* SCtable threeparttable subtable margintable")
TABULARS = {
    "tabular": "om", "tabular*": "mom", "tabularx": "mom", "tabulary": "mom", "longtable": "om", "longtable*": "om",
    "tabu": "om", "longtabu": "om", "supertabular": "m", "supertabular*": "mm", "xtabular": "m", "xltabular": "mom",
    "mpsupertabular": "m", "NiceTabular": "mo", "tblr": "om", "longtblr": "om", "deluxetable": "m",
    "deluxetable*": "m", "ltxtable": "mm",
}  # fmt: skip

LISTS = {
    "itemize": "- ", "compactitem": "- ", "inparaitem": "- ", "enumerate": "1", "compactenum": "1", "inparaenum": "1",
    "description": "", "compactdesc": "", "asparaenum": "1", "asparaitem": "- ", "list": "- ", "trivlist": "",
    "dinglist": "- ", "itemize*": "- ", "enumerate*": "1", "description*": "", "labeling": "", "todolist": "- ",
}  # fmt: skip

TRANSPARENT = {
    "minipage": "ooom", "multicols": "mo", "multicols*": "mo", "adjustbox": "m", "CJK": "omm", "CJK*": "omm",
    "spacing": "m", "otherlanguage": "m", "otherlanguage*": "om", "adjustwidth": "mm", "tcolorbox": "o",
    "mdframed": "o", "window": "o", "figwindow": "o", "tabwindow": "o",
    "columns": "o", "column": "om", "list": "mm", "thebibliography": "m", "algorithm": "o", "algorithmic": "o",
    "algorithm2e": "o", "wrapfigure": "omom", "wraptable": "omom", "figure": "o", "figure*": "o", "table": "o",
    "table*": "o", "subfigure": "om", "subtable": "om", "itemize": "o", "enumerate": "o", "description": "o",
    "trivlist": "", "frame": "oo", "abstract": "o", "tabbing": "", "linenumbers": "o", "turn": "m", "rotate": "m",
    "labeling": "om", "floatingfigure": "om", "scope": "o", "document": "", "center": "", "quote": "",
    "quotation": "",
    "dinglist": "m", "compactitem": "o", "compactenum": "o", "compactdesc": "o", "subequations": "", "appendices": "",
    "threeparttable": "o", "SCfigure": "oo", "sidewaysfigure": "o", "sidewaystable": "o", "Form": "o", "lrbox": "m",
    "keywords": "", "titlepage": "", "flushleft": "", "flushright": "", "landscape": "", "small": "",
}  # fmt: skip
"""Environments whose arguments are not text."""

THEOREMS = {
    "theorem": "Theorem", "thm": "Theorem", "lemma": "Lemma", "lem": "Lemma", "corollary": "Corollary",
    "cor": "Corollary", "proposition": "Proposition", "prop": "Proposition", "definition": "Definition",
    "defn": "Definition", "remark": "Remark", "rem": "Remark", "example": "Example", "exercise": "Exercise",
    "problem": "Problem", "question": "Question", "conjecture": "Conjecture", "claim": "Claim", "fact": "Fact",
    "observation": "Observation", "assumption": "Assumption", "axiom": "Axiom", "notation": "Notation",
    "property": "Property", "hypothesis": "Hypothesis", "solution": "Solution", "proof": "Proof", "pf": "Proof",
}  # fmt: skip
"""What classes and packages declare; a document's own declarations come first."""

SECTIONS = {
    "abstract": "Abstract", "acknowledgments": "Acknowledgments", "acknowledgements": "Acknowledgements",
    "acknowledgment": "Acknowledgment", "acknowledgement": "Acknowledgement", "ack": "Acknowledgments",
}  # fmt: skip
"""Environments and commands that are sections with a name of their own."""

ALGORITHM_LINES = {
    "State": "", "STATE": "", "Statex": "", "Require": "Require: ", "REQUIRE": "Require: ", "Ensure": "Ensure: ",
    "ENSURE": "Ensure: ", "If": "if ", "IF": "if ", "ElsIf": "else if ", "ELSIF": "else if ", "Else": "else ",
    "ELSE": "else ", "EndIf": "end if ", "ENDIF": "end if ", "For": "for ", "FOR": "for ", "ForAll": "for all ",
    "FORALL": "for all ", "EndFor": "end for ", "ENDFOR": "end for ", "While": "while ", "WHILE": "while ",
    "EndWhile": "end while ", "ENDWHILE": "end while ", "Repeat": "repeat ", "REPEAT": "repeat ", "Until": "until ",
    "UNTIL": "until ", "Loop": "loop ", "LOOP": "loop ", "EndLoop": "end loop ", "ENDLOOP": "end loop ",
    "Return": "return ", "RETURN": "return ", "Procedure": "procedure ", "EndProcedure": "end procedure ",
    "Function": "function ", "EndFunction": "end function ", "PRINT": "print ", "KwIn": "Input: ",
    "KwOut": "Output: ",
    "KwData": "Data: ", "KwResult": "Result: ", "eIf": "if ", "lIf": "if ", "uIf": "if ", "ForEach": "for each ",
}  # fmt: skip
ALGORITHMS = frozenset(("algorithm", "algorithm*", "algorithmic", "algorithm2e", "algorithm2e*", "pseudocode"))
