"""Digests are rendered from administrators' templates, which can print and loop and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from addon.base import TenantId
from addon.mail import DigestContent, DigestSection, TemplateMistake, check_template, digest_context, render_digest
from addon.mail.render import MAX_PASSES
from addon.policies import shipped

DIGEST = shipped("steward", TenantId("t")).templates[0]


@dataclass
class Texts:
    subject: str = "S"
    text: str = "T"
    html: str = "<p>H</p>"


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
    subject, text, html = render_digest(DIGEST, context)
    assert subject == "3 contents to look at in One"
    for body in (text, html):
        for expected in ("Ada", "Expired content", "(2)", "Old news", "Plan", "Budget", "News", "2026-11-22", "HR"):
            assert expected in body
    assert 'href="https://one.atlassian.net/wiki/x/1"' in html
    assert "* Plan\n  HR, last updated 2026-11-22, Expired\n  https://one.atlassian.net/wiki/x/1\n" in text
    assert "more" not in text


def test_one_content_is_named_as_one() -> None:
    subject, text, _ = render_digest(DIGEST, _context(DigestSection("Expired content", [_content()])))
    assert subject == "1 content to look at in One"
    assert "needs a look" in text


def test_at_most_a_hundred_contents_of_a_section_are_listed_and_the_rest_counted() -> None:
    section = DigestSection("Expired content", [_content(f"Page {n}") for n in range(130)], total=400)
    subject, text, html = render_digest(DIGEST, _context(section))
    assert subject.startswith("400 contents")
    assert text.count("* Page ") == 100
    assert "and 300 more" in text
    assert "and 300 more" in html


def test_a_title_cannot_bring_markup_or_a_link_of_another_sort_or_a_second_header() -> None:
    content = _content("<script>alert(1)</script>\r\nBcc: all@example.org", url="javascript:alert(1)")
    template = Texts("{{ sections[0].contents[0].title }}", DIGEST.text, DIGEST.html)
    subject, text, html = render_digest(template, _context(DigestSection("Expired", [content])))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "javascript:" not in html + text
    assert "\n" not in subject
    assert "\r" not in subject


def test_the_date_is_that_of_the_tenants_zone() -> None:
    template = Texts(text="{{ sections[0].contents[0].updated }}")
    context = _context(DigestSection("Expired", [_content()]), time_zone="Asia/Tokyo")
    assert render_digest(template, context)[1] == "2026-11-23\n"


def test_the_shipped_template_passes_its_own_check() -> None:
    assert check_template(DIGEST.subject, DIGEST.text, DIGEST.html) == []


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
    assert check_template("{{ site.title }}", text, "<b>{{ site.title|e }}</b>") == []


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
    found = check_template("S", "T", source)
    if expected is None:
        assert found == []
        return
    assert [part for part, _ in found] == ["html"], found
    assert expected in found[0][1]


def test_loops_that_would_keep_a_worker_busy_are_stopped() -> None:
    section = DigestSection("Expired", [_content() for _ in range(100)])
    loops = "{% for a in sections[0].contents %}" * 3 + "." + "{% endfor %}" * 3
    with pytest.raises(TemplateMistake, match=f"{MAX_PASSES:,} passes"):
        render_digest(Texts(text=loops), _context(section))


def test_a_rendering_that_grows_too_large_is_stopped() -> None:
    section = DigestSection("Expired", [_content("x" * 250) for _ in range(100)])
    loops = "{% for a in sections[0].contents %}" * 2 + "{{ a.title }}" + "{% endfor %}" * 2
    with pytest.raises(TemplateMistake, match="more than 300,000 characters"):
        render_digest(Texts(text=loops), _context(section))
