"""How the admin writes what Firebreak knows: severities, ages, money, structured data."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache
from typing import Any, Final

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from config import clock
from incidents.enums import Severity

register = template.Library()

NOTHING: Final = mark_safe('<span class="fb-none" title="nothing recorded">&ndash;</span>')
_THREE_DIGITS: Final = Context(prec=3, rounding=ROUND_HALF_UP)
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@register.simple_tag
@cache
def severity_badge(severity: int) -> SafeString:
    """The severity as a colour and a word."""
    label = Severity(severity).label
    return format_html('<span class="fb-badge fb-{0}">{0}</span>', label)


@register.simple_tag
def kept(seconds: float | None, target: int | None) -> str | SafeString:
    """Whether a time kept to its target, where there is one."""
    if seconds is None or target is None:
        return ""
    return badge("over target", "critical") if seconds > target else badge("on target", "done")


@register.simple_tag
@lru_cache
def badge(word: Any, kind: Any = "") -> SafeString:
    """A word in a colour of its kind (by default the word's own)."""
    if word is None or word == "":
        return NOTHING
    shown = str(word).replace("_", " ")
    return format_html(
        '<span class="fb-badge fb-{}">{}</span>', str(kind or word).lower().replace("_", "-"), shown
    )


def duration(seconds: float) -> str:
    """So many seconds as a person says it: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    seconds = max(int(seconds), 0)
    for place, (size, unit) in enumerate(_STEPS):
        if seconds >= size or size == 1:
            count, rest = divmod(seconds, size)
            if count < 10 and place + 1 < len(_STEPS) and unit in ("d", "h"):
                smaller, name = _STEPS[place + 1]
                if more := rest // smaller:
                    return f"{count} {unit} {more} {name}"
            return f"{count} {unit}"
    raise AssertionError("a second is the last step")  # pragma: no cover


@register.filter
def ms(milliseconds: float | None) -> str | SafeString:
    """Milliseconds as a person says them."""
    return NOTHING if milliseconds is None else short(timedelta(milliseconds=milliseconds))


@register.filter
def seconds(value: float | None) -> str | SafeString:
    """Seconds as a person says them."""
    return NOTHING if value is None else short(timedelta(seconds=float(value)))


def short(delta: timedelta) -> str:
    """A length of time; below a second in milliseconds."""
    total = delta.total_seconds()
    return f"{round(total * 1000)} ms" if 0 < total < 1 else duration(total)


@register.filter
def age(moment: datetime | None) -> SafeString:
    """How long ago, with the moment itself on hovering."""
    if moment is None:
        return NOTHING
    return _timed(moment, duration((clock.now() - moment).total_seconds()))


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """As ``age``, with the word."""
    if moment is None:
        return NOTHING
    passed = (clock.now() - moment).total_seconds()
    return _timed(moment, "just now" if passed < 5 else f"{duration(passed)} ago")


@register.filter
def moment(value: datetime | None) -> SafeString:
    """A moment in UTC, to the second."""
    return NOTHING if value is None else _timed(value, f"{value:%Y-%m-%d %H:%M:%S} UTC")


@register.filter
def clock_time(value: datetime | None) -> SafeString:
    """A moment's time of day, and its date where that is not today."""
    if value is None:
        return NOTHING
    form = "%H:%M:%S" if value.date() == clock.now().date() else "%d %b %Y, %H:%M:%S"
    return _timed(value, value.strftime(form))


def _timed(moment: datetime, shown: str) -> SafeString:
    # Nothing of it is anybody's words, and a list has a hundred of them.
    written = moment.isoformat()
    return mark_safe(  # noqa: S308
        f'<time datetime="{written}" title="{written[:10]} {written[11:19]} UTC">{shown}</time>'
    )


@register.filter
def money(cents: Decimal | float | None) -> str | SafeString:
    """Cents as dollars; what is below a cent keeps its digits."""
    if cents is None:
        return NOTHING
    dollars = Decimal(cents) / 100
    if dollars and abs(dollars) < Decimal("0.01"):
        return f"${dollars.normalize():f}"
    return f"${dollars.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


@register.filter
def count(value: int | None) -> str | SafeString:
    """A number with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


@register.filter
def brief_count(value: int) -> str:
    """A number in few characters: from ten millions on to three digits."""
    return _brief(value) if value >= 10_000_000 else f"{value:,}"


@register.filter
def brief_money(cents: Decimal | None) -> str | SafeString:
    """Cents as dollars in few characters: from $10,000 on whole ones, from $1,000,000 on to three
    digits.
    """
    if cents is None or (dollars := Decimal(cents) / 100) < 10_000:
        return money(cents)
    rounded = int(dollars.quantize(Decimal(1), ROUND_HALF_UP))
    return f"${_brief(rounded) if rounded >= 1_000_000 else f'{rounded:,}'}"


def _brief(value: int) -> str:
    rounded = _THREE_DIGITS.create_decimal(value)
    exponent, unit = (9, "B") if rounded >= 10**9 else (6, "M")
    return f"{rounded.scaleb(-exponent):f}{unit}"


@register.filter
def percent(value: float | None) -> str | SafeString:
    """A share of one, in percent."""
    return NOTHING if value is None else f"{value * 100:.0f} %"


@register.filter
def given(value: Any) -> str | SafeString:
    """A name that somebody else chose, letter by letter; or that there is none."""
    return NOTHING if value in (None, "") else str(value)


@register.filter
def plain(value: Any) -> str | SafeString:
    """A word of a vocabulary, without its underscores."""
    return NOTHING if value in (None, "") else str(value).replace("_", " ")


@register.filter
def readable(value: Any, depth: int = 0) -> SafeString:
    """Structured data as a list of names and values, nested as it is; never as raw JSON."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, dict):
        if depth > 30:
            return format_html("<code>{}</code>", value)
        rows = format_html_join(
            "",
            "<div><dt>{}</dt><dd>{}</dd></div>",
            (
                (str(name).replace("_", " "), readable(inner, depth + 1))
                for name, inner in value.items()
            ),
        )
        return format_html('<dl class="fb-data">{}</dl>', rows)
    if isinstance(value, list | tuple):
        if depth > 30:
            return format_html("<code>{}</code>", value)
        rows = format_html_join("", "<li>{}</li>", ((readable(one, depth + 1),) for one in value))
        return format_html('<ol class="fb-list">{}</ol>', rows)
    if isinstance(value, bool):
        return format_html("{}", "yes" if value else "no")
    if isinstance(value, int | float):
        return conditional_escape(f"{value:,}" if isinstance(value, int) else f"{value}")
    return format_html('<span class="fb-text" dir="auto">{}</span>', value)


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The page's query with some parameters changed; None leaves one out."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"
