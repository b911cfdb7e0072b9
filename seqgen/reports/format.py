"""How reports write: numbers, times, metrics and foreign text for people, and pages from templates.

`render` is the only way to a page. Its templates (in `templates/`) escape all that they show, and
know each function in `FILTERS` as a filter, `long` as a test:

    {{ value|share }}   {{ text|content }}   {{ size|counted("token") }}   {% if text is long(3) %}

A template that extends `base.html` sets `kind`, `heading`, `footer` and `sections` (pairs of a name
and a title) and has a block for each section; a section whose `parts[name]` is empty is left out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from seqgen.errors import display_code, visible

if TYPE_CHECKING:
    from jinja2 import Environment

DASH: Final = "\u2013"
"""What stands for a value that is not there."""

ARROWS: Final[Mapping[str, str]] = {"lower": " \u2193", "higher": " \u2191", "": ""}
"""What follows a name to say which way is better."""

_SIZES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_METRICS: Final = {"bleu": "BLEU", "chrf": "chrF", "tag_scores": "macro F1 of tags"}
_SHARES: Final = {
    *("accuracy", "character_error_rate", "exact_match", "macro_recall"),
    *("phoneme_error_rate", "tag_accuracy", "tag_scores", "word_error_rate"),
}

_LINE: Final = 85
"""About how many characters of a text a line of a page holds."""


def figure(value: float | None) -> str:
    """Four significant digits: 1.420, 12,345, 1.2e+09; a dash for what is not there."""
    if value is None:
        return DASH
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    # Zeros at the end only where they make adjacent numbers comparable.
    return f"{value:#.4g}" if 0.1 <= abs(value) < 1000 else f"{value:.4g}"


def count(value: float | None) -> str:
    """A whole number with its digits in threes."""
    return figure(value) if value is None or not abs(value) < 1e15 else f"{value:,.0f}"


def counted(number: int, name: str, plural: str = "") -> str:
    """The number with its noun: 1 edit, 2 edits; `plural` where an s does not do."""
    return f"{count(number)} {name if number == 1 else plural or name + 's'}"


def brief_count(value: float | None) -> str:
    """A count in three digits where it has more than five: 87,210 or 1.24 M."""
    if value is None or not 1e5 <= value < 1e15:
        return count(value)
    size, name = next(pair for pair in _SIZES if value >= pair[0])
    return f"{value / size:.3g} {name}"


def percent(probability: float | None) -> str:
    """A share of one in percent, with three digits at most."""
    if probability is None or not math.isfinite(probability):
        return figure(probability)
    shown = 100 * probability
    if 0 < shown < 0.01:
        return "<0.01 %"
    return f"{shown:.1f} %" if shown >= 1 else f"{shown:.2f} %"


def share(part: float | None) -> str:
    """A share of one in percent, fine enough to compare good models: 99.02 %."""
    if part is None or not math.isfinite(part):
        return figure(part)
    shown = f"{100 * part:,.2f} %"
    if shown == "100.00 %" and part < 1:
        return ">99.99 %"
    return "<0.01 %" if shown == "0.00 %" and part > 0 else shown


def tint(probability: float) -> int:
    """The class of a token's colour: of five, the smaller the probability, the higher."""
    return sum(probability < limit for limit in (0.5, 0.2, 0.05, 0.01))


def nats(log_prob: float | None) -> str:
    """A log-probability to two decimal places."""
    return DASH if log_prob is None else f"{log_prob:.2f}".replace("-", "\u2212")


def log_probability(log_prob: float | None) -> str:
    """A log-probability in nats, and as a probability if that is not tiny."""
    if log_prob is None or log_prob < -9:
        return nats(log_prob)
    return f"{nats(log_prob)} ({percent(math.exp(min(log_prob, 0)))})"


def duration(seconds: float | None) -> str:
    """A time in its two largest units: 45 s, 5 min 12 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return figure(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    units = "min s"
    if round(seconds) >= 3600:
        seconds, units = round(seconds) / 60, "h min"
    large, small = divmod(round(seconds), 60)
    pairs = zip((large, small), units.split(), strict=True)
    return " ".join(f"{number:,} {unit}" for number, unit in pairs if number)


def metric_label(name: str) -> str:
    """The display name of the metric `name`."""
    return _METRICS.get(name, name.replace("_", " "))


def is_share(name: str) -> bool:
    """Whether the metric `name` is a share of one, which is shown in percent."""
    return name in _SHARES


def metric_value(name: str, value: float | None) -> str:
    """A value of the metric `name`: shares in percent, all else as a figure."""
    return share(value) if is_share(name) else figure(value)


def content(text: str) -> Markup:
    """The text as HTML content in which the codes of `visible` are set apart; not for attributes,
    where the text itself will do."""
    return Markup("").join(
        Markup('<span class="code">{}</span>').format(code)
        if (code := display_code(character))
        else character
        for character in text
    )


def beginning(text: str, most: int = 800) -> Markup:
    """The text as HTML content if it has no more than `most` characters, else its first ones and
    how many follow; an empty text says so."""
    if not text:
        return Markup('<span class="code">(empty)</span>')
    return content(text[:most]) + left_out(len(text) - most)


def markdown(text: str) -> str:
    """The text as Markdown in which nothing acts, on one line."""
    line = re.sub(r"[\r\n\t]", " ", visible(text))
    return re.sub(r"([\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)


def left_out(more: int) -> Markup:
    """What follows a text of which `more` characters or words are not shown."""
    if more <= 0:
        return Markup("")
    return Markup(' <span class="code">\u2026 {} more</span>').format(count(more))


def token_label(token: str) -> Markup:
    """A token as HTML content in which its spaces and line ends show, for labels of one line."""
    shown = token.replace(" ", "\u2423").replace("\n", "\u21b5").replace("\t", "\u21e5")
    # A mark that belongs to the letter before gets a circle to stand on.
    mark = shown and unicodedata.category(shown[0]).startswith("M")
    return beginning(f"\u25cc{shown}" if mark else shown, most=len(shown) + 1)


def small_units(quantity: str) -> Markup:
    """A quantity as HTML content with smaller units."""
    return Markup(re.sub(r"(?<=\d) ([a-zA-Z%]+)", r"<i> \1</i>", str(escape(visible(quantity)))))


def is_long(text: str, lines: int = 3) -> bool:
    """Whether the text takes more than so many lines of a page."""
    return sum(len(line) // _LINE + 1 for line in text.split("\n")) > lines


FILTERS: Final = (
    *(figure, count, counted, brief_count, percent, share, tint, duration, small_units),
    *(nats, log_probability, metric_label, metric_value),
    *(visible, content, beginning, left_out, token_label, markdown),
)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("seqgen.reports"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Whatever a run has in its texts: nothing in it acts on the page, nothing is invisible.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters.update({each.__name__: each for each in FILTERS})
    environment.tests["long"] = is_long
    return environment


def render(template: str, **values: object) -> str:
    """The text that `templates/<template>` makes of the values; HTML is escaped by name's end."""
    return _environment().get_template(template).render(values)
