"""Parameters of queries that tell who came from where, and nothing of the page.

Gathered from what ClearURLs, Firefox and Brave take out of addresses, and from what Naver and Daum add to them.
"""

import re
from functools import lru_cache

_FOR_TRACKING = """\
__hsfp __hssc __hstc __s _branch_match_id _branch_referrer _ga _gl _hsenc _hsmi _ke _kx _openstat adgroupid
bsft_clkid bsft_eid campaignid ck_subscriber_id cmpid dclid dicbo dmcol dmkw dmskw ef_id epik fb_action_ids
fb_action_types fb_comment_id fb_ref fb_source fbclid gad_campaignid gad_source gbraid gclid gclsrc
guccounter guce_referrer guce_referrer_sig hsctatracking icid igsh igshid irclickid irgwc kclid li_fat_id
mc_cid mc_eid mibextid mkcid mkevt mkrid mkt_tok ml_subscriber ml_subscriber_hash msclkid mtm_campaign
mtm_cid mtm_content mtm_keyword mtm_medium mtm_source n_ad n_ad_group n_ad_group_type n_campaign_type n_keyword
n_keyword_id n_match n_media n_query n_rank napm ocid oly_anon_id oly_enc_id pk_campaign pk_kwd pk_medium
pk_source rb_clickid ref_src ref_url s_cid s_kwcid scm share_id sourcepagetype spm srsltid sscid
syclid trk trkcampaign ttclid twclid vero_conv vero_id wbraid wickedid wt_mc yclid ymclid ysclid
zanpid"""
_OF_SESSIONS = "phpsessid jsessionid asp.net_sessionid aspsessionid cfid cftoken oscsid zenid xtcsid phpsessionid"
_PERHAPS = "sessionid session_id sid sess sessid s_id sesskey"

_TRACKING = frozenset(_FOR_TRACKING.split())
_TRACKING_PREFIXES = ("utm_", "aspsessionid", "hmb_", "itm_", "vero_")
_SESSIONS, _PERHAPS_SESSIONS = frozenset(_OF_SESSIONS.split()), frozenset(_PERHAPS.split())
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[a-z])[a-z0-9_-]{20,}", re.IGNORECASE)


def says_nothing(name: str, part: str, drop: tuple[str, ...] = ()) -> bool:
    """Whether a parameter of a query is one for tracking or names a session.

    Names such as `sid` count only where the value looks drawn at random, since a forum or a conference may number its
    sessions.

    Args:
        name: of the parameter.
        part: all of it, NAME=VALUE.
        drop: further names, `NAME*` for all that begin so.
    """
    key = name.lower().removeprefix("amp;")  # of an address copied out of HTML
    if key in _TRACKING or key in _SESSIONS or key.startswith(_TRACKING_PREFIXES):
        return True
    if key in _PERHAPS_SESSIONS:
        return _TOKEN.fullmatch(part.partition("=")[2]) is not None
    return bool(drop) and _dropped(drop).fullmatch(key) is not None


@lru_cache(16)
def _dropped(drop: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name.lower()).replace(r"\*", ".*") for name in drop), re.DOTALL)
