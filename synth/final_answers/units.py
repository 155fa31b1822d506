"""Units of answers in Korean and English: what each measures, and how many of the base unit it is."""

import re
from dataclasses import dataclass
from fractions import Fraction

COUNT = "count"
"""Things are counted: the word says which, and does not change the number."""


@dataclass(frozen=True)
class Unit:
    """A unit of one dimension."""

    dimension: str
    """`time`, `KRW`, `percent` ...; `length/time` for a speed; `count` for things."""
    factor: Fraction = Fraction(1)
    """How many of the dimension's base unit it is."""


_TABLE: dict[str, dict[str, str]] = {
    "time": {
        "1": "second seconds sec secs s 초",
        "60": "minute minutes min mins 분",
        "3600": "hour hours hr hrs h 시간",
        "86400": "day days 일 날",
        "604800": "week weeks 주 주일",
    },
    "calendar": {"1": "month months 달 개월", "12": "year years yr yrs 년"},
    "length": {
        "1/1000": "mm millimeter millimeters millimetre millimetres 밀리미터 ㎜",
        "1/100": "cm centimeter centimeters centimetre centimetres 센티미터 센티 센치 ㎝",
        "1": "m meter meters metre metres 미터",
        "1000": "km kilometer kilometers kilometre kilometres 킬로미터 ㎞",
        "127/5000": "inch inches 인치",
        "381/1250": "foot feet ft 피트",
        "1143/1250": "yard yards 야드",
        "201168/125": "mile miles 마일",
    },
    "area": {
        "1/10000": "cm^2 cm² ㎠ 제곱센티미터",
        "1": "m^2 m² ㎡ 제곱미터",
        "1000000": "km^2 km² ㎢ 제곱킬로미터",
        "16129/25000000": "in^2",
        "145161/1562500": "ft^2",
    },
    "volume": {
        "1/1000": "ml mL 밀리리터 ㎖ cc cm^3 cm³ ㎤ 세제곱센티미터 milliliter milliliters millilitre millilitres",
        "1/10": "dl dL 데시리터",
        "1": "l L liter liters litre litres 리터 ℓ",
        "1000": "m^3 m³ ㎥ 세제곱미터",
    },
    "mass": {
        "1/1000": "mg 밀리그램 ㎎ milligram milligrams",
        "1": "g gram grams 그램",
        "1000": "kg 킬로그램 킬로 ㎏ kilogram kilograms kgs",
        "1000000": "t ton tons tonne tonnes 톤",
    },
    "pounds": {"1": "ounce ounces oz", "16": "pound pounds lb lbs 파운드"},
    "KRW": {"1": "원 won KRW ₩"},
    "USD": {"1/100": "cent cents ¢ 센트", "1": "dollar dollars $ USD 달러 불"},
    "EUR": {"1": "euro euros EUR € 유로"},
    "JPY": {"1": "yen JPY ¥ 엔"},
    "percent": {
        "1/100": "% percent percentage pct 퍼센트 프로 ％",
        "1/10": "할",
        "1/1000": "‰",
    },
    "percentage point": {"1": "%p %P 퍼센트포인트 %포인트"},
    "dozen": {"12": "dozen dozens 다스"},
    "degree": {"1": "° degree degrees 도 ℃ °C"},
    "fahrenheit": {"1": "°F ℉"},
}
# Only those that stand behind a number in Korean word problems: an unknown word is not taken for a counter (`3할`).
_COUNTERS = (
    "학년 학기 교시 회차 가닥 평 근 량 식구 남매 형제 월 개 명 마리 권 장 병 잔 컵 대 송이 그루 "
    "자루 켤레 쌍 벌 채 척 통 봉지 봉 상자 박스 묶음 줄 칸 층 쪽 페이지 번 회 차례 배 살 세 점 "
    "점수 문제 문항 가지 종류 종 팀 반 조각 판 알 톨 포기 단 접시 그릇 사람 분단 모둠 곳 군데 바퀴 "
    "걸음 보 자리 글자 단어 문장 편 곡 표 석 인 인분 가구 세대 호 동 방울 다발 꾸러미 무더기 개입 팩 "
    "캔 매 모 두름 손 포대 자 자릿수 도막 토막 묶 번째 등 위 등분 뭉치 갑 세트 끼 학급 줄기 스푼 "
    "숟가락 큰술 작은술 타래 필 기 정거장 정류장 라운드 골 승 패 무 좌석 칼로리 kcal 볼트 와트 "
    "포인트 스티커 카드"
)
UNITS = {
    name: Unit(dimension, Fraction(factor))
    for dimension, factors in _TABLE.items()
    for factor, names in factors.items()
    for name in names.split()
} | {name: Unit(COUNT) for name in _COUNTERS.split()}
UNITS |= {"mph": Unit("length/time", Fraction(1397, 3125)), "kph": Unit("length/time", Fraction(5, 18))}

_HANGUL_UNITS = sorted((name for name in UNITS if not name[0].isascii() or name[0] == "%"), key=len, reverse=True)
_ASCII_UNITS = sorted((name for name in UNITS if name[0].isascii() and name[0].isalpha()), key=len, reverse=True)
_WORDS = r"square|cubic|sq\.?|cu\.?"
NAME = rf"(?:(?:{'|'.join(map(re.escape, _ASCII_UNITS))})(?![A-Za-z])|{'|'.join(map(re.escape, _HANGUL_UNITS))}|\$)"
"""A unit as a pattern; of several, the longest."""
UNIT = re.compile(
    rf"(?:({_WORDS})\s+)?({NAME})(?:\^\{{?([23])\}}?)?(?:\s*(?:/|per\s+(?:a\s+)?|a\s+|an\s+)\s*({NAME}))?\.?"
)
_DAYS = "하루 이틀 사흘 나흘 닷새 엿새 이레 여드레 아흐레 열흘"
DAYS = {word: number for number, word in enumerate(_DAYS.split(), 1)} | {"보름": 15}
"""Days that have a word of their own."""


def unit_named(match: re.Match[str]) -> Unit:
    """What a match of `UNIT` means."""
    words, named, digit, per = match.groups()
    power = int(digit) if digit else (2 if words.startswith("s") else 3) if words else 0
    name = f"{_SHORT.get(named, named)}^{power}" if power else named
    above = UNITS.get(name, Unit(name))
    if not per:
        return above
    below = UNITS[per]
    return Unit(f"{above.dimension}/{below.dimension}", above.factor / below.factor)


_SHORT = {
    "centimeters": "cm",
    "centimeter": "cm",
    "meters": "m",
    "meter": "m",
    "kilometers": "km",
    "kilometer": "km",
} | {"feet": "ft", "foot": "ft", "inches": "in", "inch": "in", "metres": "m", "centimetres": "cm"}
SPEEDS = {"시속": Unit("time", Fraction(3600)), "분속": Unit("time", Fraction(60)), "초속": Unit("time")}
SAME_DIMENSION = {
    dimension: sorted({unit.factor for unit in UNITS.values() if unit.dimension == dimension}) for dimension in _TABLE
}
"""The factors of all units of a dimension."""
