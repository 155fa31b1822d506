"""Labels of lid.176 and GlotLID as BCP 47 tags."""

import pytest

from classifiers.bcp47 import language_tag


@pytest.mark.parametrize(
    ("label", "tag"),
    [
        ("ko", "ko"),
        ("kor_Hang", "ko"),
        ("kor_Kore", "ko"),
        ("kor_Latn", "ko-Latn"),
        ("eng_Latn", "en"),
        ("jpn_Jpan", "ja"),
        ("cmn_Hani", "zh"),
        ("zho_Hans", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("srp_Cyrl", "sr"),
        ("srp_Latn", "sr-Latn"),
        ("hin_Latn", "hi-Latn"),
        ("arb_Arab", "ar"),
        ("yue_Hani", "yue"),
        ("yue", "yue"),
        ("ceb", "ceb"),
        ("deu", "de"),
        ("als", "gsw"),
        ("als_Latn", "sq"),
        ("zxx_Zxxx", "zxx"),
    ],
)
def test_labels_become_tags(label: str, tag: str) -> None:
    assert language_tag(label) == tag
