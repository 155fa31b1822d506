"""The packages of `benchmarks/licenses.py`: fixed before any result was seen, with odd ones on purpose.

Copyleft, dual, non-commercial, proprietary, renamed, Korean and undeclared packages stand among ordinary ones. Every
second package of each list, in its order, was used to set the rules; the others were first looked at for the result.
"""

PYPI = (
    "requests flask click attrs six idna certifi urllib3 pyyaml toml tqdm simplejson python-dateutil "
    "packaging cryptography docutils psycopg2 pygments chardet paramiko mysqlclient unidecode "
    "text-unidecode levenshtein rapidfuzz yamllint pylint astroid bandit mutagen dnspython pexpect "
    "ptyprocess zope.interface zope.event pytz typing_extensions webencodings html5lib bleach regex nltk "
    "gensim tornado greenlet psutil beautifulsoup4 soupsieve feedparser mako markdown mistune peewee "
    "python-gitlab pygithub gitpython dulwich pyasn1 rsa ecdsa bcrypt scapy impacket netaddr ldap3 "
    "python-ldap pyserial python-xlib pynput humanize chess fpdf2 weasyprint pyphen konlpy soynlp hanja "
    "jamo korean-romanizer hgtk kss jellyfish ultralytics yt-dlp streamlink gallery-dl instaloader "
    "mitmproxy surya-ocr html2text scrapy pyparsing ply lark cvxopt ecos igraph pypinyin jieba fugashi "
    "bitarray intbitset urwid pyenchant language-tool-python fuzzywuzzy mmh3 blake3 httplib2 pycurl "
    "asyncssh pyramid webob transaction zodb plone.api trytond django-cms asciitree pyarmor pysimplegui "
    "oracledb cairocffi lz4 ephem "
).split()

NPM = (
    "lodash express chalk commander debug ms async axios moment uuid semver glob rimraf minimatch "
    "lru-cache tslib inherits jquery preact source-map esprima jsonify json-schema atob rc pako "
    "node-forge jszip dompurify type-fest caniuse-lite spdx-license-ids spdx-exceptions tweetnacl "
    "big-integer path-is-inside opener truncate-utf8-bytes sanitize-filename expand-template argparse "
    "mdn-data axe-core ua-parser-js highcharts handsontable mariadb mysql2 leaflet sprintf-js qs entities "
    "hosted-git-info buffers chainsaw traverse tv4 sjcl jsbn nodemailer mailparser iconv-lite mongodb "
    "hangul-js es-hangul josa @uniswap/v3-core @uniswap/v2-core @uniswap/v3-periphery web3-utils ethers "
    "bn.js ethereumjs-util n8n-workflow @sentry/cli eslint-plugin-sonarjs elkjs vis-network "
    "isotope-layout masonry-layout flickity fullpage.js gsap lightgallery ffmpeg-static jshint khroma "
    "left-pad valid-url node-ipc twemoji left-align core-util-is @directus/sdk @elastic/datemath jsmin "
    "bootstrap-icons ckeditor4 "
).split()

DEBIAN = (
    "bc ed hello dash bzip2 zlib expat libyaml libevent yajl jq lz4 snappy leveldb mawk pigz pv htop "
    "iftop figlet toilet cowsay sl tree less tmux screen ncdu dos2unix entr moreutils parallel rlwrap "
    "libsodium jansson json-c uthash check cunit lua5.4 tinyxml2 pugixml rapidjson nlohmann-json3 libuv1 "
    "http-parser libmicrohttpd hunspell-ko nabi libhangul unifdef fonts-nanum-coding jpegoptim gifsicle "
).split()
