"""What the simulated Slack shows of its markup."""

import pytest

from versus_py.simulators.mrkdwn import Reader, plain_to_html, to_html

READER = Reader({"U0ANA": "Ana Diaz"}, now_s=1_777_890_000)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* `c`\nd", "a <b>b</b> <code>c</code><br>d"),
        ("&lt;b&gt; &amp;", "&lt;b&gt; &amp;"),
        ("<b>", '<a href="b" target="_blank" rel="noreferrer">b</a>'),
        ("<https://x?a=1&amp;b=2|it>", '<a href="https://x?a=1&amp;b=2" target="_blank" rel="noreferrer">it</a>'),
        ("<@U0ANA>", '<mark class="mention">@Ana Diaz</mark>'),
        ("*<@U0ANA>*", '<b><mark class="mention">@Ana Diaz</mark></b>'),
        ("<@U0NOBODY>", '<mark class="mention">@U0NOBODY</mark>'),
        ("<!subteam^S0ONCALL>", '<mark class="mention">@S0ONCALL</mark>'),
        ("<!subteam^S0ONCALL|@oncall>", '<mark class="mention">@oncall</mark>'),
        ("<!channel>", '<mark class="mention">@channel</mark>'),
        ("<#C0ALERTS>", '<mark class="mention">#C0ALERTS</mark>'),
        (":fire: :no_such_emoji:", "🔥 :no_such_emoji:"),
    ],
)
def test_markup_is_shown_as_slack_shows_it(text, html):
    assert str(to_html(text, READER)) == html


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        ("<!date^1777889700^{date_short_pretty} {time_secs} ({ago})|x>", "04 May 10:15:00 UTC (5 minutes ago)"),
        ("<!date^1777893600^{ago}|x>", "in 1 hour"),
        ("<!date^1777889999^{ago}|x>", "1 second ago"),
        ("<!date^1777717200^{date_num} at {time} {other}^https://x|x>", "2026-05-02 at 10:20 UTC {other}"),
        ("<!date^soon^{time}|in a while>", "in a while"),
    ],
)
def test_dates_are_shown_in_utc(date, shown):
    assert str(to_html(date, READER)) == f"<time>{shown}</time>"


def test_plain_text_has_emoji_and_no_other_markup():
    assert str(plain_to_html(":bell: *Notify* <@U0ANA>")) == "🔔 *Notify* &lt;@U0ANA&gt;"
