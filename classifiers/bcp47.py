"""From a model's label to a BCP 47 language tag.

`ko` (lid.176) stays; `kor_Hang` (GlotLID, NLLB) becomes `ko`; `srp_Latn` becomes `sr-Latn`, because Serbian is
usually written in Cyrillic. Codes of ISO 639-3 without a two-letter form stay as they are, without their script
(`yue_Hani`: `yue`).
"""

# ISO 639-3 codes that have a two-letter form (ISO 639-1, as BCP 47 prefers).
TWO_LETTER_PAIRS = """
aar:aa abk:ab afr:af aka:ak amh:am ara:ar arg:an asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm bel:be ben:bn
bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu chv:cv cor:kw cos:co cre:cr cym:cy dan:da
deu:de div:dv dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff
gla:gd gle:ga glg:gl glv:gv grn:gn guj:gu hat:ht hau:ha hbs:sh heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy
ibo:ig ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka
kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln
lit:lt ltz:lb lub:lu lug:lg mah:mh mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv
nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi
pol:pl por:pt pus:ps que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm sna:sn
snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg
tgl:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo
wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
# Members of a macrolanguage under which everybody else files them.
MACROLANGUAGE_PAIRS = """
cmn:zh arb:ar npi:ne ory:or swh:sw zsm:ms ekk:et lvs:lv pes:fa azj:az khk:mn uzn:uz als:sq plt:mg ydd:yi pbt:ps
gaz:om kmr:ku
"""
TWO_LETTERS = dict(pair.split(":") for pair in (TWO_LETTER_PAIRS + MACROLANGUAGE_PAIRS).split())

# The script in which each two-letter language is usually written, where that is not Latin.
USUAL_SCRIPT = {
    language: script
    for script, languages in (
        ("Arab", "ar fa ks ps sd ug ur"),
        ("Armn", "hy"),
        ("Beng", "as bn"),
        ("Cyrl", "ab av ba be bg ce cu cv kk kv ky mk mn os ru sr tg tt uk"),
        ("Deva", "hi mr ne pi sa"),
        ("Ethi", "am ti"),
        ("Geor", "ka"),
        ("Grek", "el"),
        ("Gujr", "gu"),
        ("Guru", "pa"),
        ("Hang", "ko"),
        ("Hani", "zh"),
        ("Hebr", "he yi"),
        ("Jpan", "ja"),
        ("Khmr", "km"),
        ("Knda", "kn"),
        ("Laoo", "lo"),
        ("Mlym", "ml"),
        ("Mymr", "my"),
        ("Orya", "or"),
        ("Sinh", "si"),
        ("Taml", "ta"),
        ("Telu", "te"),
        ("Thaa", "dv"),
        ("Thai", "th"),
        ("Tibt", "bo dz"),
    )
    for language in languages.split()
}
ALSO_USUAL = {("ko", "Kore"), ("zh", "Hans"), ("ja", "Hira"), ("ja", "Kana")}
LID176_TAGS = {"als": "gsw"}  # Wikipedia's als is Alemannic; in ISO 639-3 the code is Tosk Albanian


def language_tag(label: str) -> str:
    """The BCP 47 tag of a fastText label without its prefix: `ko`, `kor`, `kor_Hang` are all `ko`."""
    code, _, script = label.partition("_")
    if not script:
        return LID176_TAGS.get(code) or TWO_LETTERS.get(code, code)
    language = TWO_LETTERS.get(code)
    if language is None:
        return code
    usual = script == USUAL_SCRIPT.get(language, "Latn") or (language, script) in ALSO_USUAL
    return language if usual else f"{language}-{script}"
