"""Numbers and foreign text as people read them. No IO, no clock, no locale.

Whatever is missing prints as a word, never as 0.
"""

from __future__ import annotations

import datetime as dt
import math
import re

MISSING = "not recorded"

# Control characters break XML, terminals and copy-and-paste; direction overrides make text read as what it is not.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufeff]"
    r"|[\ufffe\uffff\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0010fffe\U0010ffff]"
)


def clean(text: object) -> str:
    """The text with everything invisible or illegal made visible; line breaks and tabs stay."""
    said = str(text)
    if said.isascii() and said.isprintable():  # most of them, and ten times as fast
        return said
    return _UNSAFE.sub(_shown, said.replace("\r\n", "\n"))


def bounded(text: object, limit: int) -> str:
    """The text cleaned, cut to a limit; what is cut is counted, so that nobody takes it for the whole."""
    whole = str(text)
    return clean(whole) if len(whole) <= limit else f"{clean(whole[:limit])}… ({number(len(whole))} characters in all)"


def harmless_json(document: bytes) -> bytes:
    """The same JSON, with everything in its strings that could command a terminal written as an escape."""
    return _UNSAFE.sub(_escaped, document.decode()).encode()


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def one_line(text: object, limit: int = 400) -> str:
    """The text cleaned, on one line, cut to a limit."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹U+{code:04X}›"


def sentence_case(text: str) -> str:
    """The text as a sentence stands in a paragraph; a name at its start, such as proxy/payments, keeps its letters."""
    stripped = text.strip()
    if not stripped:
        return ""
    first = stripped[0].upper() if stripped.split()[0].isalpha() else stripped[0]
    return first + stripped[1:] + ("" if stripped[-1] in ".!?…" else ".")


def number(value: float | None, digits: int = 3) -> str:
    """1 234 567, 0.0123, 412: three significant digits for what is not whole."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    if abs(value) >= 1000:
        return f"{round(value):,}".replace(",", "\u202f")
    return _trimmed(f"{value:.{max(0, digits - 1 - _magnitude(value))}f}")


def duration(seconds: float | None, sign: bool = False) -> str:
    """412 ms, 7.02 s, 2 min 5 s."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    lead = "−" if seconds < 0 else "+" if sign else ""
    return lead + _length(abs(seconds))


def _length(seconds: float) -> str:
    if seconds == 0:
        return "0 ms"
    if seconds < 0.9995:
        return f"{_trimmed(_significant(seconds * 1000))} ms"
    if seconds < 59.95:
        return f"{_significant(seconds) if seconds != int(seconds) else int(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def share(value: float | None, sign: bool = False) -> str:
    """0.1 %, 38 %, 100 %."""
    if value is None or not math.isfinite(value):
        return MISSING
    lead = "−" if value < 0 else "+" if sign else ""
    percent = abs(value) * 100
    if 0 < percent < 0.01:
        return f"{lead}<0.01 %"
    if 99.9 < percent < 100:
        return f"{lead}{math.floor(percent * 100) / 100:.2f} %"  # never rounded up to a clean 100 %
    return f"{lead}{_trimmed(f'{percent:.2f}' if percent < 10 else f'{percent:.1f}')} %"


def clock(t: float | None, decimals: int = 1) -> str:
    """Time since the run's start: 00:42.1, or 1:02:03.4 after an hour."""
    if t is None or not math.isfinite(t):
        return MISSING
    unit = 10**decimals
    total = round(abs(t) * unit) if decimals else math.floor(abs(t))
    minutes, rest = divmod(total, 60 * unit)
    hours, minutes = divmod(minutes, 60)
    lead = ("−" if t < 0 else "") + (f"{hours}:" if hours else "")
    return f"{lead}{minutes:02d}:{rest // unit:02d}" + (f".{rest % unit:0{decimals}d}" if decimals else "")


def utc(at: float | None) -> str:
    """2026-08-22 10:00:00 UTC."""
    if not at or not 0 < at < 253_402_300_800:
        return MISSING
    return dt.datetime.fromtimestamp(math.floor(at), dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: float | None) -> str:
    """2026-08-22T10:00:00Z, or an empty string."""
    stamp = utc(at)
    return "" if stamp == MISSING else stamp.replace(" UTC", "Z").replace(" ", "T")


def counted(count: int, noun: str, plural: str = "") -> str:
    """1 target, 2 targets."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _significant(value: float) -> str:
    rounded = float(f"{value:.3g}")  # 0.9999 counts as 1, with its decimals
    return f"{value:.{max(0, 2 - _magnitude(rounded))}f}" if value < 99.95 else f"{value:.0f}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
