"""Digests are rendered from administrators' templates, which can print and loop and nothing else."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from addon.base import TenantId
from addon.mail import DigestContent, DigestSection, Renderer, TemplateMistake, digest_context, sandboxed
from addon.mail.render import TOO_HEAVY
from addon.mail.sandboxed import MAX_STEPS
from addon.policies import shipped

DIGEST = shipped("steward", TenantId("t")).templates[0]
RENDERER = Renderer()


@dataclass
class Texts:
    subject: str = "S"
    text: str = "T"
    html: str = "<p>H</p>"


def _check(subject: str, text: str, html: str) -> list[tuple[str, str]]:
    return [(part, reason) for _, part, reason in RENDERER.check([Texts(subject, text, html)])]


def _content(title: str = "Plan", url: str = "https://one.atlassian.net/wiki/x/1") -> DigestContent:
    return DigestContent(title, url, "HR", datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "Expired")


def _context(*sections: DigestSection, time_zone: str = "UTC") -> dict[str, object]:
    return digest_context(
        site_title="One",
        site_url="https://one.atlassian.net/wiki",
        recipient_name="Ada",
        sections=sections,
        time_zone=time_zone,
    )


def test_the_shipped_template_renders_every_section_in_both_bodies() -> None:
    context = _context(
        DigestSection("Expired content", [_content(), _content("Budget")]),
        DigestSection("Old news", [_content("News")]),
    )
    subject, text, html = RENDERER.digest(DIGEST, context)
    assert subject == "3 items to look at in One"
    for body in (text, html):
        for expected in ("Ada", "Expired content", "(2)", "Old news", "Plan", "Budget", "News", "2026-11-22", "HR"):
            assert expected in body
    assert 'href="https://one.atlassian.net/wiki/x/1"' in html
    assert "* Plan\n  HR, last updated 2026-11-22, Expired\n  https://one.atlassian.net/wiki/x/1\n" in text
    assert "more" not in text


def test_one_content_is_named_as_one() -> None:
    subject, text, _ = RENDERER.digest(DIGEST, _context(DigestSection("Expired content", [_content()])))
    assert subject == "1 item to look at in One"
    assert "needs a look" in text


def test_at_most_a_hundred_contents_of_a_section_are_listed_and_the_rest_counted() -> None:
    section = DigestSection("Expired content", [_content(f"Page {n}") for n in range(130)], total=400)
    subject, text, html = RENDERER.digest(DIGEST, _context(section))
    assert subject.startswith("400 items")
    assert text.count("* Page ") == 100
    assert "and 300 more" in text
    assert "and 300 more" in html


def test_a_title_cannot_bring_markup_or_a_link_of_another_sort_or_a_second_header() -> None:
    content = _content("<script>alert(1)</script>\r\nBcc: all@example.org", url="javascript:alert(1)")
    template = Texts("{{ sections[0].contents[0].title }}", DIGEST.text, DIGEST.html)
    subject, text, html = RENDERER.digest(template, _context(DigestSection("Expired", [content])))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "javascript:" not in html + text
    assert "\n" not in subject
    assert "\r" not in subject


def test_the_date_is_that_of_the_tenants_zone() -> None:
    template = Texts(text="{{ sections[0].contents[0].updated }}")
    context = _context(DigestSection("Expired", [_content()]), time_zone="Asia/Tokyo")
    assert RENDERER.digest(template, context)[1] == "2026-11-23\n"


def test_the_shipped_template_passes_its_own_check() -> None:
    assert _check(DIGEST.subject, DIGEST.text, DIGEST.html) == []


def test_useful_templates_are_accepted() -> None:
    text = """
    {%- for section in sections -%}
    {% for group in section.contents|groupby("space") %}
    {{ loop.index }} {{ group.grouper|upper }} {{ group.list|length }} {{ group[1][0].title|truncate(20) }}
    {% else %}
    none
    {% endfor %}
    {% if section.more > 0 and not loop.last %}{{ "and " ~ section.more }}{% endif %}
    {% endfor %}
    {{ sections|length }} {{ counts.contents - 1 }} {{ recipient.name|default("you") }}
    """
    assert _check("{{ site.title }}", text, "<b>{{ site.title|e }}</b>") == []


MISTAKES = {
    "{{ missing }}": "there is no missing",
    "{{ site.nme }}": "nme",
    "{% for s in sections %}": "line 1",
    "{{ 1 }": "line 1",
    "{{ ''.__class__ }}": "__class__",
    "{{ site['__class__'].mro }}": "__class__",
    "{{ range(10) }}": "functions cannot be called",
    "{{ site.title.upper() }}": "functions cannot be called",
    "{{ sections|map('upper') }}": "no filter map",
    "{{ site.title|safe }}": "no filter safe",
    "{{ 'x'|center(1000000000) }}": "no filter center",
    "{{ 'x'|counted_passes }}": "counted_passes",
    "{{ 'x' * 1000000000 }}": "Mul cannot be used",
    "{{ 9 ** 999999999 }}": "Pow cannot be used",
    "{{ '%0999999999d' % 1 }}": "Mod cannot be used",
    "{% set a = 1 %}x": "{% set %}",
    "{% macro m() %}{% endmacro %}x": "macros",
    "{% include 'mail/digest.txt' %}": "included",
    "{% import 'x' as y %}": "imported",
    "{% extends 'x' %}": "extended",
    "{% autoescape false %}{{ site.title }}{% endautoescape %}": "switched off",
    "{% block b %}{{ _x }}{% endblock %}": "Block cannot be used",
    "{{ _x }}": "there is no _x",
    "{{ 1 / 0 }}": "Div cannot be used",
    "{{ sections[99].name }}": "99",
    "   ": "renders to nothing",
    "(" * 5000: None,
    "{{ " + "(" * 5000: "",
    "{% for a in sections %}" * 6 + "{% endfor %}" * 6: "loops inside each other",
}


@pytest.mark.parametrize("source", MISTAKES)
def test_a_template_with_a_mistake_is_refused_with_the_reason(source: str) -> None:
    expected = MISTAKES[source]
    found = _check("S", "T", source)
    if expected is None:
        assert found == []
        return
    assert [part for part, _ in found] == ["html"], found
    assert expected in found[0][1]


def test_loops_that_would_keep_a_worker_busy_are_stopped() -> None:
    section = DigestSection("Expired", [_content() for _ in range(100)])
    loops = "{% for a in sections[0].contents %}" * 3 + "." + "{% endfor %}" * 3
    with pytest.raises(TemplateMistake, match=f"{MAX_STEPS:,} passes"):
        RENDERER.digest(Texts(text=loops), _context(section))


def test_a_rendering_that_grows_too_large_is_stopped() -> None:
    section = DigestSection("Expired", [_content("x" * 250) for _ in range(100)])
    loops = "{% for a in sections[0].contents %}" * 2 + "{{ a.title }}" + "{% endfor %}" * 2
    with pytest.raises(TemplateMistake, match="more than 300,000 characters"):
        RENDERER.digest(Texts(text=loops), _context(section))


HEAVY = {
    "a number rounded to millions of digits": "{{ 1|round(-12000000) }}",
    "joins of joins that double each time": "{{ " + "'ab'" + "|join('ab'|join('abcdefgh'))" * 40 + " }}",
    "sorts in loops": "{% for a in sections %}{% for b in a.contents %}"
    + "{{ sections[0].contents|sort(attribute='title')|length }}" * 1200
    + "{% endfor %}{% endfor %}",
    "a number of a thousand digits": "{{ " + "9" * 1000 + " }}",
    "a list printed through a filter": "{{ sections|upper }}",
    "a text truncated to a negative length": "{{ site.title|truncate(-99999999) }}",
}


@pytest.mark.parametrize("kind", HEAVY)
def test_a_template_made_to_be_heavy_is_refused_by_its_own_bounds_and_the_process_lives_on(kind: str) -> None:
    before = _process(RENDERER)
    found = _check("S", "T", HEAVY[kind])
    assert [part for part, _ in found] == ["html"], found
    assert found[0][1] != TOO_HEAVY
    assert _process(RENDERER) == before


def test_what_no_bound_foresees_ends_the_process_and_costs_its_own_template_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(sandboxed.__file__).read_text(encoding="utf-8")
    hole = tmp_path / "sandboxed.py"
    # A filter without bounds plays the one that no one thought of.
    for bounded, unbounded in {
        '"title": _of_text(filters.do_title)': '"title": lambda value: list(range(10**7)) * 10**4',
        '"trim": _of_text(filters.do_trim)': '"trim": lambda value: 7 ** (7**9)',
    }.items():
        assert bounded in source
        source = source.replace(bounded, unbounded)
    hole.write_text(source)
    monkeypatch.setattr(sandboxed, "__file__", str(hole))
    renderer = Renderer()
    try:
        memory, time, good = (Texts(f"{{{{ site.title{name} }}}}") for name in ("|title", "|trim", ""))
        for heavy in (memory, time):
            assert renderer.check([heavy, good]) == [(0, "text", TOO_HEAVY)]
            with pytest.raises(TemplateMistake, match=TOO_HEAVY):
                renderer.digest(heavy, _context())
            with pytest.raises(TemplateMistake, match=TOO_HEAVY):
                renderer.digest(heavy, _context())
        assert renderer.check([good]) == []
        assert renderer.digest(good, _context())[0] == "One"
    finally:
        renderer.close()


def test_a_rendering_process_that_was_killed_from_outside_is_replaced_and_the_mail_is_rendered() -> None:
    renderer = Renderer()
    try:
        assert renderer.check([DIGEST]) == []
        process = _process(renderer)
        process.kill()
        process.wait()
        assert renderer.digest(DIGEST, _context(DigestSection("Expired", [_content()])))[0].startswith("1 item")
    finally:
        renderer.close()


def test_a_machine_that_is_too_busy_to_answer_is_not_blamed_on_the_template(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("import sys\nsys.stdin.read()\n")
    renderer = Renderer(wall_seconds=0.2)
    context = _context(DigestSection("Expired", [_content()]))
    try:
        with monkeypatch.context() as patched:
            patched.setattr(sandboxed, "__file__", str(silent))
            with pytest.raises(TemplateMistake):
                renderer.digest(DIGEST, context)
        renderer._wall_seconds = 30.0
        assert renderer.digest(DIGEST, context)[0].startswith("1 ")
    finally:
        renderer.close()


def test_the_rendering_process_knows_nothing_of_the_add_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEWARD_ENCRYPTION_KEYS", "secret-key")
    renderer = Renderer()
    try:
        assert renderer.check([DIGEST]) == []
        process = _process(renderer)
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"STEWARD" not in environment
        assert {link.name for link in Path(f"/proc/{process.pid}/fd").iterdir()} == {"0", "1", "2"}
    finally:
        renderer.close()
    assert process.poll() is not None


def _process(renderer: Renderer) -> subprocess.Popen[bytes]:
    assert renderer._child is not None
    return renderer._child._process
