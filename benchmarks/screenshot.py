"""A picture of a run's report, taken by headless chromium: `python benchmarks/screenshot.py RUN OUT.png`.

`docs/report.png` is made by it from the run of `onggi demo`. Sections that are not asked for are hidden, so that the
picture shows what is worth seeing in one screen.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
DARK = "--blink-settings=preferredColorScheme=0"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')  # it would forbid the added style


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run, or a report")
    parser.add_argument("out", type=Path, help="the picture, a .png")
    parser.add_argument("--sections", nargs="*", default=["thresholds"], help="ids of the sections to show")
    parser.add_argument("--size", default="1280x1480", help="WIDTHxHEIGHT of the window, in pixels")
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    report = args.run / "report.html" if args.run.is_dir() else args.run
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(only_sections(report.read_text(), args.sections))
        take(page, args.out, args.size, args.dark, Path(folder) / "profile")
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


def only_sections(html: str, sections: list[str]) -> str:
    """The report with these sections only."""
    shown = "".join(f":not(#{name})" for name in sections)
    hide = f"main > section{shown} {{ display: none }} section {{ margin-top: 2.6rem !important }}"
    return POLICY.sub("", html).replace("</style>", f"{hide}</style>")


def take(page: Path, out: Path, size: str, dark: bool, profile: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium on PATH: install Debian's package `chromium`")
    flags = [
        *FLAGS,
        *([DARK] if dark else []),
        f"--user-data-dir={profile}",
        f"--window-size={size.replace('x', ',')}",
    ]
    subprocess.run(
        [chromium, *flags, f"--screenshot={out.resolve()}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )


if __name__ == "__main__":
    main()
