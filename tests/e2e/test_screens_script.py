"""What the screens' script promises about itself, in a real browser and without the add-on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from flask import Flask, Response, send_from_directory
from playwright.sync_api import Page

from addon.screens import assets
from tests.support.servers import running

pytestmark = pytest.mark.e2e


@pytest.fixture
def modules(browser_page: Page) -> Iterator[Page]:
    """A page with an empty body on the origin of the modules, under the screens' own policy on scripts and styles."""
    app = Flask("modules", root_path=str(assets.STATIC), static_folder=None)

    @app.get("/")
    def empty() -> Response:
        response = Response("<!doctype html><title>t</title><body data-root=''><main></main></body>")
        response.headers["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'"
        return response

    @app.get("/<name>")
    def module(name: str) -> Response:
        return send_from_directory(assets.STATIC, name)

    with running(app) as url:
        browser_page.goto(url)
        yield browser_page


def test_times_are_written_in_the_given_zone(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const format = await import('/format.js');
          format.setTimeZone('Europe/Berlin');
          const now = new Date('2026-11-22T12:00:00Z');
          const at = (iso) => format.moment(iso, now);
          const found = [at('2026-11-22T13:17:00Z'), at('2026-11-22T23:30:00Z'), at('2026-11-21T13:17:00Z'),
                         at('2026-11-25T07:00:00Z'), at('2026-11-20T07:00:00Z'), at('2025-01-03T07:00:00Z')];
          format.setTimeZone('Nowhere/At-all');
          return [...found, at('2026-11-22T13:17:00Z'), format.timeZone()];
        }"""
    )
    assert said == [
        "today 14:17", "tomorrow 00:30", "yesterday 14:17", "Wed 08:00", "20 Nov 08:00", "3 Jan 2025 08:00",
        "today 14:17", "Europe/Berlin",
    ]  # fmt: skip


def test_a_time_that_is_typed_is_read_in_the_zone_in_which_all_are_shown(modules: Page) -> None:
    read = modules.evaluate(
        """async () => {
          const format = await import('/format.js');
          const at = (zone, local) => { format.setTimeZone(zone); return format.instant(local).toISOString(); };
          return [at('UTC', '2026-11-22T14:17'), at('Europe/Berlin', '2026-07-01T00:30'),
                  at('America/New_York', '2026-03-08T01:30'), at('America/New_York', '2026-03-08T03:30'),
                  at('Asia/Kathmandu', '2026-01-01T00:00')];
        }"""
    )
    assert read == [
        "2026-11-22T14:17:00.000Z", "2026-06-30T22:30:00.000Z", "2026-03-08T06:30:00.000Z", "2026-03-08T07:30:00.000Z",
        "2025-12-31T18:15:00.000Z",
    ]  # fmt: skip


def test_a_run_tells_its_slots_where_they_say_more_than_its_start(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const {h} = await import('/dom.js');
          const {slotFacts} = await import('/slots.js');
          const slot = (hour, outcome = 'started', name = null) =>
            ({scheduledFor: `2024-01-08T${hour}:00Z`, outcome, ruleId: name, name: name || 'Refresh', earlier: 0});
          const told = (items, more = 0, startedAt = '2024-01-08T10:00:30Z') =>
            slotFacts({slots: {items, more}, startedAt})
              .map(({name, value}) => `${name}: ${h('p', {}, value).textContent}`);
          const weekly = slot('10:00', 'started', 'Weekly');
          const joined = ['09:00', '08:00', '07:00', '06:00', '05:00', '04:00'].map((hour) => slot(hour, 'coalesced'));
          return [
            slotFacts({slots: null}), told([slot('10:00')]), told([slot('10:00')], 0, '2024-01-08T12:05:10Z'),
            told([weekly, slot('10:00', 'started', '<b>'), slot('07:30', 'started', 'Old')], 2),
            told([slot('10:00'), ...joined], 3), told([slot('10:00'), joined[0]]),
          ];
        }"""
    )
    assert said == [
        [],
        [],
        ["Started for: 8 Jan 2024 10:00, late by 2 h 5 min"],
        ["Started for: 8 Jan 2024 10:00 (Weekly, <b>); 8 Jan 2024 07:30 (Old), late by 2 h 30 min and 2 more"],
        [
            "Started for: 8 Jan 2024 10:00",
            "Joined by: 9 missed slots: 8 Jan 2024 09:00, 8 Jan 2024 08:00, 8 Jan 2024 07:00, 8 Jan 2024 06:00, "
            "8 Jan 2024 05:00 and 4 more",
        ],
        ["Started for: 8 Jan 2024 10:00", "Joined by: 1 missed slot: 8 Jan 2024 09:00"],
    ]


def test_spans_and_counts_read_like_sentences(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const {span, left, count} = await import('/format.js');
          return [span(8), span(130), span(120), span(3900), span(7200), left(5), left(42), left(200), left(7300),
                  count(1, 'space'), count(1204, 'space')];
        }"""
    )
    assert said == [
        "8 s", "2 min 10 s", "2 min", "1 h 5 min", "2 h", "a few seconds left", "about 40 seconds left",
        "about 3 minutes left", "about 2 hours left", "1 space", "1,204 spaces",
    ]  # fmt: skip


def test_a_screen_that_asks_much_at_once_asks_again_quietly_where_the_site_was_busy_for_a_moment(
    modules: Page,
) -> None:
    said = modules.evaluate(
        """async () => {
          window.AP = {context: {getToken: (take) => take('token')}};
          const {call} = await import('/api.js');
          const tried = async (method, kind, after, later = 200) => {
            const waits = [];
            let asked = 0;
            window.setTimeout = (then, ms) => { if (ms < 10000) waits.push(ms); queueMicrotask(then); };
            window.fetch = async () => {
              asked += 1;
              if (asked > 1 && later === 200) return Response.json({fine: true});
              const type = `urn:content-steward:problem:${kind}`;
              const headers = {'Content-Type': 'application/problem+json'};
              if (after !== null) headers['Retry-After'] = after;
              return new Response(JSON.stringify({type, status: 503, title: kind}), {status: 503, headers});
            };
            const end = await call(method, '/jobs').then(({data}) => data.fine, (problem) => problem.title);
            return [asked, waits.join(), end];
          };
          return [
            await tried('GET', 'site-busy', '1'), await tried('GET', 'site-busy', '2'),
            await tried('GET', 'site-busy', '1', 503), await tried('GET', 'site-busy', '10'),
            await tried('GET', 'site-busy', null), await tried('GET', 'quota', '1'),
            await tried('POST', 'site-busy', '1'),
          ];
        }"""
    )
    assert said == [
        [2, "1000", True], [2, "2000", True], [2, "1000", "site-busy"], [1, "", "site-busy"], [1, "", "site-busy"],
        [1, "", "quota"], [1, "", "site-busy"],
    ]  # fmt: skip


def test_data_is_text_and_never_markup(modules: Page) -> None:
    made = modules.evaluate(
        """async () => {
          const {h, morph} = await import('/dom.js');
          const main = document.querySelector('main');
          morph(main, h('p', {title: '"><b>x'}, '<img src=x onerror=alert(1)>'), '<b>bold</b>');
          return [main.querySelectorAll('img, b').length, main.textContent];
        }"""
    )
    assert made == [0, "<img src=x onerror=alert(1)><b>bold</b>"]


def test_a_new_view_over_the_old_one_keeps_focus_text_and_the_newest_handlers(modules: Page) -> None:
    result = modules.evaluate(
        """async () => {
          const {h, morph, focusOn} = await import('/dom.js');
          const main = document.querySelector('main');
          const heard = [];
          const draw = (n, extra) => morph(main,
            h('h2', {id: 'title'}, `Round ${n}`),
            extra && h('p', {'data-key': 'extra'}, 'extra'),
            h('button', {type: 'button', 'data-key': 'b', onclick: () => heard.push(n)}, `Press ${n}`),
            h('div', {'data-keep': true, 'data-key': 'keep', id: 'keep'}));
          draw(1, false);
          const kept = document.createElement('textarea');
          document.getElementById('keep').append(kept);
          kept.value = 'half typed';
          const button = main.querySelector('button');
          button.focus();
          draw(2, false);
          const sameButton = document.activeElement === button && button.textContent === 'Press 2';
          button.click();
          focusOn(document.getElementById('title'));
          draw(3, false);
          return [sameButton, heard, document.activeElement.textContent, kept.isConnected, kept.value];
        }"""
    )
    assert result == [True, [2], "Round 3", True, "half typed"]


ROWS = """async ([before, after, focused]) => {
  const {h, morph} = await import('/dom.js');
  const main = document.querySelector('main');
  main.id = 'main';
  const button = (name) => h('button', {type: 'button', 'aria-label': `Delete ${name}`}, 'Delete');
  const row = (name) => h('li', {'data-key': name}, button(name));
  const draw = (names) => morph(main, h('h1', {}, 'Rows'),
    h('section', {'data-key': 'list'}, h('h2', {}, 'All of them'), names.length > 0 && h('ul', {}, names.map(row))));
  draw(before);
  const pressed = document.querySelector(`[aria-label="Delete ${focused}"]`);
  pressed.focus();
  draw(after);
  const now = document.activeElement;
  return [now === pressed, now.getAttribute('aria-label') || now.textContent];
}"""


@pytest.mark.parametrize(
    ("before", "after", "focused", "expected"),
    [
        ("abc", "abcd", "b", [True, "Delete b"]),
        ("abc", "xabc", "b", [True, "Delete b"]),
        ("abc", "bc", "b", [True, "Delete b"]),
        ("abc", "cba", "a", [True, "Delete a"]),
        ("abc", "ac", "b", [False, "Delete c"]),
        ("abc", "ab", "c", [False, "Delete b"]),
        ("a", "", "a", [False, "All of them"]),
    ],
)
def test_the_focus_stays_with_its_row_and_goes_to_the_next_one_when_it_is_gone(
    modules: Page, before: str, after: str, focused: str, expected: list[object]
) -> None:
    assert modules.evaluate(ROWS, [list(before), list(after), focused]) == expected


def test_a_button_that_becomes_disabled_gives_its_focus_to_the_heading_above_it(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const {h, morph} = await import('/dom.js');
          const main = document.querySelector('main');
          const button = (disabled) => h('p', {}, h('button', {type: 'button', disabled}, 'Start'));
          const draw = (disabled) => morph(main, h('h1', {}, 'Screen'), h('section', {}, h('h2', {}, 'Jobs'),
            h('ul', {}, h('li', {'data-key': 'j'}, h('h3', {}, 'Refresh'), button(disabled)))));
          draw(false);
          main.querySelector('button').focus();
          draw(true);
          return document.activeElement.textContent;
        }"""
    )
    assert said == "Refresh"


def test_no_screen_asks_with_the_browsers_own_dialogs() -> None:
    asking = re.compile(r"(?<![\w.])(confirm|alert|prompt)\(\s*[\"'`]|window\.(confirm|alert|prompt)\b")
    scripts = sorted(assets.STATIC.glob("*.js"))
    assert len(scripts) > 20
    assert [script.name for script in scripts if asking.search(script.read_text())] == []


def test_the_second_attempt_is_the_first_retry(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const {retryName, starter} = await import('/words.js');
          return [retryName(2, 4), retryName(4, 4), starter({trigger: 'retry', attempt: 3})];
        }"""
    )
    assert said == ["retry 1 of 3", "retry 3 of 3", "Retry 2"]


def test_the_tiles_of_spaces_add_up_to_their_total(modules: Page) -> None:
    shown = modules.evaluate(
        """async () => {
          const {metricTiles} = await import('/parts.js');
          const {morph} = await import('/dom.js');
          const tiles = (metrics) => {
            morph(document.querySelector('main'), metricTiles(metrics));
            const found = [...document.querySelectorAll('.tile')];
            return Object.fromEntries(found.map((each) => [each.dataset.metric, Number(each.lastChild.textContent)]));
          };
          const quiet = {spacesProcessed: 3, spacesFailed: 0, spacesSkipped: 0, spacesCancelled: 0, spacesTotal: 3};
          const rough = {...quiet, spacesFailed: 1, spacesSkipped: 2, spacesCancelled: 4, spacesTotal: 10};
          return [tiles(quiet), tiles(rough)];
        }"""
    )
    assert shown == [
        {"spacesProcessed": 3, "spacesFailed": 0, "spacesTotal": 3},
        {"spacesProcessed": 3, "spacesFailed": 1, "spacesSkipped": 2, "spacesCancelled": 4, "spacesTotal": 10},
    ]


RUNNING = {
    "id": "1", "job": "refresh-statuses", "title": "Refresh content statuses", "scope": "site", "trigger": "manual",
    "status": "running", "startedAt": "2026-11-22T07:55:00Z", "startedByName": "Ada", "points": 12, "mayCancel": True,
    "progress": {"spacesDone": 3, "spacesFailed": 0, "spacesTotal": 9, "percent": 33, "secondsLeft": None},
    "paused": None, "stalledSince": None, "restricted": False, "dryRun": False,
}  # fmt: skip
DRAW = """async ([execution, waiting]) => {
  const [{runningPanel}, {morph}, {setTimeZone}] =
    await Promise.all([import('/running.js'), import('/dom.js'), import('/format.js')]);
  setTimeZone('UTC');
  morph(document.querySelector('main'), runningPanel(execution, () => {}, {waiting}));
}"""


def draw(page: Page, waiting: Sequence[object] = (), **changed: object) -> str:
    """Draw the panel of a running execution; return its text."""
    page.evaluate(DRAW, [RUNNING | changed, waiting])
    return " ".join(page.locator("main").inner_text().split())


def test_a_paused_run_says_until_when_and_why_and_can_be_cancelled(modules: Page) -> None:
    text = draw(modules, paused={"until": "2020-11-22T09:04:00Z", "reason": "The hour's quota is used up."})
    assert "Paused until 22 Nov 2020 09:04: The hour's quota is used up." in text
    assert "3 of 9 spaces · waiting" in text
    assert modules.get_by_role("button", name="Cancel job").is_visible()
    assert modules.locator(".message-info").count() == 1
    assert "No progress" not in text


def test_a_run_that_stands_still_says_since_when_and_can_be_cancelled(modules: Page) -> None:
    text = draw(modules, stalledSince="2020-11-22T09:04:00Z")
    assert "No progress since 22 Nov 2020 09:04" in text
    assert modules.locator(".message-warning").count() == 1
    assert modules.get_by_role("button", name="Cancel job").is_visible()
    assert "left" not in modules.locator(".progress-words").inner_text()


def test_a_run_at_work_shows_neither_nor_anything_that_waits(modules: Page) -> None:
    text = draw(modules)
    assert modules.locator(".message").count() == 0
    assert "Next:" not in text
    assert "33 % · 3 of 9 spaces · no estimate yet" in text
    assert "about 2 minutes left" in draw(modules, progress=RUNNING["progress"] | {"secondsLeft": 120})  # type: ignore[operator]


def test_what_waits_behind_a_run_is_named_in_its_order(modules: Page) -> None:
    retry = {"attempt": 2, "attempts": 4}
    text = draw(
        modules,
        [
            {
                "job": "refresh-statuses",
                "title": "Refresh content statuses",
                "due": "2099-01-02T08:00:00Z",
                "retry": retry,
            },
            {"job": "send-notifications", "title": "Send notifications", "due": "2020-11-22T08:00:00Z", "retry": None},
        ],
    )
    assert (
        "Next: Refresh content statuses (retry 1 of 3), due 2 Jan 2099 08:00; "
        "then Send notifications, due since 22 Nov 2020 08:00"
    ) in text


def test_a_dry_run_that_plans_nothing_says_so(modules: Page) -> None:
    labels = """async (dry) => (await import('/words.js')).metricList({contentsArchived: 0}, dry)
                 .map((each) => `${each.label} ${each.value}`)"""
    assert modules.evaluate(labels, True) == ["Items planned 0", "Items archived 0"]
    assert modules.evaluate(labels, False) == ["Items archived 0"]


def test_one_page_that_cannot_be_edited_has_its_status_and_two_have_theirs(modules: Page) -> None:
    said = "async (many) => (await import('/words.js')).uncovered({metrics: {contentsReadOnly: many}})"
    assert "1 page or post cannot be edited by Content Steward, so its status" in modules.evaluate(said, 1)
    assert "2 pages and posts cannot be edited by Content Steward, so their status" in modules.evaluate(said, 2)


def test_a_run_over_the_site_is_said_to_cover_the_included_spaces(modules: Page) -> None:
    said = "async () => (await import('/words.js')).scopeOf({scope: 'site'})"
    assert modules.evaluate(said) == "All included spaces"
