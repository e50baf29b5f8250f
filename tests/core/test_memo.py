from mcp_vlsearch.core.memo import Memo


def test_an_answer_is_asked_for_once_a_version() -> None:
    version, asked = 1, 0

    def ask() -> int:
        nonlocal asked
        asked += 1
        return asked

    memo = Memo(lambda: version, ask)
    assert (memo(), memo()) == (1, 1)
    version = 2
    assert (memo(), memo()) == (2, 2)


def test_what_is_written_while_it_is_asked_for_is_asked_for_again() -> None:
    versions = [1, 2, 2]
    answers = ["before", "after"]
    memo = Memo(lambda: versions.pop(0), lambda: answers.pop(0))
    assert [memo(), memo(), memo()] == ["before", "after", "after"]
