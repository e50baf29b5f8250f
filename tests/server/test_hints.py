"""Results say what to do next where that is plain, and reports cost an assistant few tokens."""

import pytest

from mcp_vlsearch.core.runs import nothing_done
from mcp_vlsearch.tools._hints import hinted
from mcp_vlsearch.types import (
    EncoderStatus,
    Failure,
    Hit,
    IndexReport,
    IndexStatus,
    LibraryStatus,
    RemoveReport,
    RootStatus,
    SearchResult,
)


def report(**counts: object) -> IndexReport:
    done = {"complete": True, "remaining": 0, **counts}
    return nothing_done().model_copy(update=done)


def hit(relevance: str) -> Hit:
    return Hit.model_validate(
        {
            "rank": 1, "image_id": "0", "path": "/a.png", "other_paths": [], "part": None,
            "score": 0.5, "relevance": relevance, "width": 1, "height": 1, "format": "PNG",
            "bytes": 1, "taken_at": None,
        }
    )  # fmt: skip


def result(*hits: Hit, total: int = 10, searched: int = 10) -> SearchResult:
    return SearchResult(
        queries=["x"], hits=list(hits), total_images=total, searched_images=searched, seconds=0
    )


def status(**changes: object) -> LibraryStatus:
    encoder = EncoderStatus(name="e", model="m", precision="p", device="d", dim=1, state="ready")
    whole = LibraryStatus(
        library="/library", roots=[RootStatus(path="/photos", online=True, files=1)], images=1,
        files=1, failed=0, encoder=encoder, index=IndexStatus(name="i", kind="k", vectors=1),
        spaces=[], database_bytes=1, version="1",
    )  # fmt: skip
    return whole.model_copy(update=changes)


def test_a_plain_success_has_no_next_step() -> None:
    assert hinted(report(added=3, scanned=3, total_images=3)).next_step == ""
    assert hinted(result(hit("strong"), hit("weak"))).next_step == ""
    assert hinted(status()).next_step == ""
    assert hinted(RemoveReport(removed=1, unknown=[], total_images=0)).next_step == ""


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (result(total=0, searched=0), "call index_images"),
        (result(searched=0), "loosen or leave out"),
        (result(), 'with min_relevance "any"'),
        (result(hit("weak"), hit("weak")), "try other words once, or tell the user"),
        (status(roots=[]), "add `--root FOLDER`"),
        (status(images=0), "call index_images"),
        (
            status(roots=[RootStatus(path="/photos", online=False, files=1)]),
            "ask the user to connect",
        ),
        (
            status(encoder=status().encoder.model_copy(update={"state": "failed"})),
            "search once more to hear why",
        ),
        (report(), "ask the user where the pictures are"),
        (RemoveReport(removed=0, unknown=["/x"], total_images=1), "check their spelling"),
    ],
)
def test_where_something_is_to_be_done_the_result_says_what(
    given: SearchResult | LibraryStatus | IndexReport | RemoveReport, step: str
) -> None:
    assert step in hinted(given).next_step


def test_a_run_under_way_keeps_what_it_says_of_itself() -> None:
    assert hinted(report(complete=False, next_step="call again")).next_step == "call again"


def test_a_report_of_many_failures_on_long_paths_is_short() -> None:
    failures = [
        Failure(path=f"/{'deep/' * 800}{number}.png", error="why " * 100) for number in range(100)
    ]
    given = report(scanned=5000, failed=3000, failures=failures)
    short = hinted(given)
    assert len(short.model_dump_json()) < 5000
    assert (short.failed, len(short.failures)) == (3000, 10)
    assert "names 2990 more" in short.next_step
    for before, after in zip(failures, short.failures, strict=False):
        assert len(after.path) == 160
        beginning, end = after.path.split("…")
        assert before.path.startswith(beginning)
        assert before.path.endswith(end)


def test_numbers_of_a_result_have_no_more_digits_than_anybody_needs() -> None:
    found = SearchResult(
        queries=["x"], hits=[hit("strong").model_copy(update={"score": 0.46339738368988037})],
        total_images=1, searched_images=1, seconds=0.016343315000995062,
    )  # fmt: skip
    for mode in ("json", "python"):
        data = hinted(found).model_dump(mode=mode)
        assert (data["hits"][0]["score"], data["seconds"]) == (0.463397, 0.016)
    assert hinted(found).hits[0].score == 0.46339738368988037
    assert hinted(report(seconds=2.611294384987559)).model_dump()["seconds"] == 2.611


def test_other_results_pass_as_they_are() -> None:
    assert hinted(7) == 7
    assert hinted(hit("weak")) == hit("weak")
