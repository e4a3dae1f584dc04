"""The page of all drills is built anew at the end of each, and is never a reason for another result."""

from tests.drill.harness import Desk


def test_every_drill_refused_ones_too_is_on_the_page_with_a_link_to_its_report(desk: Desk) -> None:
    ran = desk.drill()
    ran.expect(1)
    page = desk.reports / "index.html"
    assert f"history: {page}" in ran.output
    assert f'<a href="{ran.reports[0].name}">' in page.read_text()
    desk.env_file.unlink()
    desk.drill().expect(11)
    assert page.read_text().count("<tr class=") == 3, "two drills and one env file"
    assert "<b>refused</b>" in page.read_text()


def test_a_page_that_cannot_be_written_costs_a_line_and_nothing_else(desk: Desk) -> None:
    (desk.reports / "index.html").mkdir(parents=True)
    ran = desk.drill()
    ran.expect(1)
    assert "history: index.html could not be written" in ran.output
    assert [entry["result"] for entry in ran.entries] == ["failure"]
    assert len(ran.reports) == 1
