"""The site: complete, readable without colours and scripts, and the same for the same reports."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from omniq_conformance.families import FAMILIES
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.jsonl import ReportError
from omniq_conformance.reports.matrix import GLYPHS, MEANINGS, matrix
from omniq_conformance.reports.site import write_site

VOID = {"meta", "link", "br", "img", "input", "hr"}
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page has: texts, links, ids, and every tag closed in order."""

    def __init__(self, path):
        super().__init__()
        self.path, self.open, self.links, self.ids, self.tags, self.words = path, [], [], [], [], []
        self.headers = []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.headers += [found.get("scope")] if tag == "th" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{self.path}: {tag}"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def reports(make_report):
    statuses = {f"OQ-Q-{number + 1:02}01": status.value for number, status in enumerate(Status)}
    evidence = {
        "OQ-Q-0101": {"programs": 1200, "crash_points": [1, 2]},
        "OQ-Q-0201": {"program": {"family": "queue", "ops": [["claim", {"limit": 1}]]}, "program_file": "/tmp/p.json"},
    }
    issue = {"id": "OQ-Q-0401", "url": "https://example.org/7", "reason": EVIL, "expires": "2027-01-01"}
    return [
        make_report(statuses, evidence=evidence, reasons={"OQ-Q-0201": f"Wrong: {EVIL}\nexpected 1\ngot 2"}),
        make_report(statuses | {"OQ-Q-0201": "pass"}, server="Acme 4.0", known_issues=(issue,)),
        make_report({"OQ-Q-0501": "pass"}, backend="memory", server="memory", left_out=9),
    ]


def pages(root):
    return {str(path.relative_to(root)): Page(path) for path in sorted(root.rglob("*.html"))}


def test_every_link_leads_somewhere_and_every_page_is_reached(reports, tmp_path):
    write_site(reports, tmp_path)
    found = pages(tmp_path)
    reached = {"index.html"}
    for name, page in found.items():
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            if link.startswith(("https://example.org", "data:")):
                continue
            target, _, anchor = link.partition("#")
            path = (page.path.parent / target).resolve() if target else page.path
            other = str(path.relative_to(tmp_path))
            assert other in found, f"{name}: {link}"
            assert not anchor or anchor in found[other].ids, f"{name}: {link}"
            reached.add(other)
    assert reached == set(found)
    assert len(found) == 1 + 8 + 8 + 1


def test_the_matrix_has_a_row_for_each_guarantee_and_a_column_for_each_server(reports, tmp_path):
    write_site(reports, tmp_path)
    page = pages(tmp_path)["index.html"]
    assert page.headers == ["col"] * 4 + ["row"] * len(FAMILIES)
    for family in FAMILIES.values():
        assert family.guarantee in page.text
    for title in ("Acme 3.1", "Acme 4.0", "memory"):
        assert title in page.text


def test_every_verdict_is_a_sign_and_a_word(reports, tmp_path):
    write_site(reports, tmp_path)
    text = pages(tmp_path)["index.html"].text
    for status in Status:
        assert f"{GLYPHS[status]} {status}" in text
        assert MEANINGS[status] in text
    assert set(GLYPHS) == set(MEANINGS) == set(Status)
    assert len(set(GLYPHS.values())) == len(Status)


def test_totals_of_what_is_unverified_and_known_stand_on_top(reports, tmp_path):
    write_site(reports, tmp_path)
    strip = pages(tmp_path)["index.html"].text.partition("Guarantees")[0]
    assert "acme 3.1 1 unverified 1 known issue 1 fail 1 error 1 vacuous 1 of 8 pass" in strip.casefold()
    assert "A part of the suite only: 9 items were not run" in strip
    assert "OQ-Q-0401, until 2027-01-01" in strip


def test_a_cell_leads_to_all_the_evidence(reports, tmp_path):
    write_site(reports, tmp_path)
    found = pages(tmp_path)
    passed = found["cells/acme-3-1/01-programs.html"].text
    assert "OQ-Q-0101 What OQ-Q-0101 guarantees. ✓ pass" in passed
    assert "programs 1,200" in passed
    assert "crash points [1, 2]" in passed
    for told in ("0.250", "Acme 3.1", "omniq-acme 1.0", "3.11.7", "durability none", "push yes", "max wait ms 1,000"):
        assert told in passed
    failed = found["cells/acme-3-1/02-concurrency.html"]
    assert "expected 1 got 2" in failed.text
    assert '["claim", {"limit": 1}]' in failed.text
    assert "program file /tmp/p.json" in failed.text
    assert ("details", {"open": None}) in failed.tags


def test_what_reports_say_is_text_and_nothing_is_fetched(reports, tmp_path, make_report):
    bad = {"id": "OQ-Q-0401", "url": "javascript:alert(1)", "reason": "r", "expires": "2027-01-01"}
    write_site([*reports, make_report({"OQ-Q-0401": "pass"}, server=EVIL, known_issues=(bad,))], tmp_path)
    for page in pages(tmp_path).values():
        assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe"}
        assert not [link for link in page.links if link.startswith("javascript")]
        assert not re.search(r"url\(|@import", page.path.read_text("utf-8"))
    assert EVIL in pages(tmp_path)["index.html"].text


def test_the_same_reports_make_the_same_pages(reports, tmp_path):
    write_site(reports, tmp_path / "a")
    write_site(reports[::-1], tmp_path / "b")
    texts = [{name: page.path.read_bytes() for name, page in pages(tmp_path / each).items()} for each in "ab"]
    assert texts[0] == texts[1]


def test_the_newest_report_counts_and_old_pages_go(make_report, tmp_path):
    old = make_report({"OQ-Q-0501": "fail", "OQ-Q-0601": "fail"}, started="2026-11-21T23:00:00+00:00")
    new = make_report({"OQ-Q-0501": "pass"})
    write_site([old], tmp_path)
    (tmp_path / "CNAME").write_text("conformance.example.org")
    write_site([new, old], tmp_path)
    (cells,) = [sorted(path.name for path in folder.iterdir()) for folder in (tmp_path / "cells").iterdir()]
    assert cells == ["05-values.html"]
    assert (tmp_path / "CNAME").exists()


def test_the_worst_verdict_of_a_cell_is_shown(make_report):
    verdicts = {"OQ-Q-0501": "unsupported", "OQ-Q-0502": "pass", "OQ-Q-0503": "unverified", "OQ-Q-0601": "unsupported"}
    (column,) = matrix([make_report(verdicts)])
    assert column.cells[5].counts == {"unverified": 1, "pass": 1, "unsupported": 1}
    assert [column.cells[number].status for number in (5, 6, 7)] == ["unverified", "unsupported", None]


def test_backends_whose_names_look_alike_get_pages_of_their_own(make_report):
    columns = matrix([make_report({"OQ-Q-0501": "pass"}, server=server) for server in ("Acme 3.1", "Acme 3-1")])
    assert [column.slug for column in columns] == ["acme-3-1", "acme-3-1-2"]


def test_reports_of_different_specifications_are_not_combined(make_report, tmp_path):
    verdicts = {"OQ-Q-0501": "pass"}
    with pytest.raises(ReportError, match=r"specifications 1\.0, 1\.1"):
        write_site([make_report(verdicts), make_report(verdicts, backend="other", spec="1.1")], tmp_path)
    with pytest.raises(ReportError, match="There is no report"):
        write_site([], tmp_path)


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_in_light_and_dark(reports, tmp_path):
    style = write_site(reports, tmp_path).read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    palettes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(palettes) == 2
    assert palettes[0].keys() == palettes[1].keys()
    for palette in palettes:
        tinted = [(name.removesuffix("-tint"), name) for name in palette if name.endswith("-tint")]
        plain = [(name, ground) for name in ("text", "quiet", "link") for ground in ("page", "card")]
        tints = [("quiet", ground) for _, ground in tinted]
        for text, ground in [*tinted, *plain, *tints]:
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
