"""Leases of a shared ingest: who may list, who has a slice, until when, and what it tells."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from emotion_search.index.database import slices
from emotion_search.index.database.connection import Database
from emotion_search.index.database.slices import LEASE_S, Progress
from emotion_search.index.errors import NotFoundError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass by the database's clock, which stands otherwise."""
    now = BEGIN

    def later(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=seconds)

    monkeypatch.setattr(slices, "now_of", lambda _: now)
    return later


@pytest.fixture
def do(database: Database, later):
    """Calls a function of the module in a transaction of its own."""

    def do(function, *arguments, **options):
        with database.write() as session:
            return function(session, *arguments, **options)

    return do


def listed(do, *slices_of: list[str], known: int = 0) -> int:
    """A run that is listed, with these slices."""
    run = do(slices.open_run, "key", "calls", {"window": 5})
    do(slices.claim_listing, run, "lister")
    for files in slices_of:
        assert do(slices.add_slice, run, "lister", files, known, files[-1])
    do(slices.end_listing, run, "lister", complete=True)
    return run


def status(do):
    (found,) = do(slices.list_runs)
    return found


def test_a_command_joins_its_run_until_all_is_done(do):
    run = do(slices.open_run, "key", "calls", {})
    assert do(slices.open_run, "key", "calls", {}) == run  # not listed yet
    do(slices.claim_listing, run, "a")
    do(slices.add_slice, run, "a", ["x"], 0, "x")
    do(slices.end_listing, run, "a", complete=True)
    assert do(slices.open_run, "key", "calls", {}) == run  # listed, not worked off
    slice_id = do(slices.claim_slice, "a").id
    do(slices.finish_slice, slice_id, "a", Progress(done=1))
    assert do(slices.open_run, "key", "calls", {}) == run + 1


def test_a_new_run_forgets_those_that_nobody_works_on(do, later):
    listed(do, ["x"])  # a slice is left
    being_listed = do(slices.open_run, "other", "calls", {})
    do(slices.claim_listing, being_listed, "a")
    left = do(slices.open_run, "third", "calls", {})
    assert [one.run for one in do(slices.list_runs)] == [left, being_listed, being_listed - 1]
    later(LEASE_S)
    last = do(slices.open_run, "fourth", "calls", {})  # at its last moment a lease still holds
    assert [one.run for one in do(slices.list_runs)] == [last, left, being_listed, being_listed - 1]
    later(0.001)
    assert do(slices.open_run, "third", "calls", {}) == left  # about to be listed
    do(slices.open_run, "fifth", "calls", {})
    assert [one.run for one in do(slices.list_runs)] == [last + 1, last, left, being_listed - 1]


def test_a_finished_run_is_forgotten_by_the_next(do):
    run = listed(do)
    assert status(do).finished
    other = do(slices.open_run, "other", "calls", {})
    assert other > run
    assert status(do).run == other


def test_one_lists_until_it_is_silent_for_a_lease(do, later):
    run = do(slices.open_run, "key", "calls", {})
    assert do(slices.claim_listing, run, "a") == (True, None, False)
    other = do(slices.open_run, "other", "calls", {})
    assert do(slices.claim_listing, run, "b") == (False, None, False)
    later(LEASE_S - 1)
    assert do(slices.add_slice, run, "a", ["x", "y"], 3, "y")  # is heard of
    later(LEASE_S)
    assert do(slices.claim_listing, run, "b") == (False, "y", False)
    later(0.001)
    assert do(slices.claim_listing, run, "b") == (True, "y", False)
    assert not do(slices.add_slice, run, "a", ["z"], 1, "z")
    do(slices.end_listing, run, "a", complete=True)
    first, second = do(slices.list_runs)[::-1]
    assert (first.files, first.known, first.listed) == (2, 3, False)
    assert (second.run, second.files, second.known) == (other, 0, 0)
    do(slices.end_listing, run, "b", complete=False)
    assert do(slices.claim_listing, run, "c") == (True, "y", False)  # at once
    assert do(slices.add_slice, run, "c", [], 1, "z")  # files that are known: no slice
    do(slices.end_listing, run, "c", complete=True)
    assert do(slices.claim_listing, run, "d") == (False, "z", True)
    first, second = do(slices.list_runs)[::-1]
    assert (first.files, first.known, first.listed) == (2, 4, True)
    assert not second.listed


def test_a_slice_is_on_lease_to_one_and_taken_from_who_is_silent(do, later):
    listed(do, ["x"], ["y"])
    first, second = do(slices.claim_slice, "a"), do(slices.claim_slice, "b")
    assert (first.files, first.attempts, first.options) == (["x"], 1, {"window": 5})
    assert second.files == ["y"]
    assert do(slices.claim_slice, "c") is None
    assert status(do).workers == ("a", "b")
    later(LEASE_S - 1)
    assert do(slices.renew, second.id, "b", Progress())
    later(1)
    assert do(slices.claim_slice, "c") is None  # at its last moment a lease still holds
    assert status(do).workers == ("a", "b")
    later(0.001)
    assert status(do).workers == ("b",)
    taken = do(slices.claim_slice, "c")
    assert (taken.id, taken.attempts) == (first.id, 2)
    assert not do(slices.renew, first.id, "a", Progress(done=1))
    assert not do(slices.finish_slice, first.id, "a", Progress(done=1))
    assert status(do).workers == ("b", "c")
    later(LEASE_S)  # of b's slice, a second more than its lease
    assert do(slices.claim_slice, "d").id == second.id


def test_a_lease_that_would_last_longer_than_any_for_the_clock_went_back_is_none(do, later):
    listed(do, ["x"])
    do(slices.claim_slice, "a")
    later(-LEASE_S)
    assert do(slices.claim_slice, "b") is None
    later(-0.001)
    assert do(slices.claim_slice, "b").attempts == 2


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_workers_on_postgres_take_a_slice_each_without_waiting(database: Database, do):
    listed(do, ["x"], ["y"])
    with database.write_beside() as one, database.write_beside() as other:
        assert slices.claim_slice(one, "a").files == ["x"]
        assert slices.claim_slice(other, "b").files == ["y"]


def test_who_takes_a_slice_knows_what_became_of_it_and_begins_at_its_first_file(do, later):
    listed(do, ["x", "y", "z"])
    slice_id = do(slices.claim_slice, "a").id
    reached = Progress(done=2, failed=1, recordings=1, clips=4, seconds=8.0)
    assert do(slices.renew, slice_id, "a", reached)
    later(LEASE_S + 1)
    taken = do(slices.claim_slice, "b")
    assert taken.before == Progress(done=0, failed=0, recordings=1, clips=4, seconds=8.0)
    assert taken.attempts == 2


def test_attempts_are_counted_anew_of_a_slice_that_gets_on(do, later):
    listed(do, ["x", "y", "z"], ["other"])
    slice_id = do(slices.claim_slice, "a").id
    other = do(slices.claim_slice, "o")
    later(LEASE_S + 1)
    assert do(slices.claim_slice, "b").attempts == 2
    do(slices.renew, slice_id, "b", Progress(done=1))  # a failed file gives no clip
    later(LEASE_S + 1)
    assert do(slices.claim_slice, "c").attempts == 3
    do(slices.renew, slice_id, "c", Progress(done=1, clips=1))
    do(slices.renew, slice_id, "c", Progress(done=1, clips=1))
    later(LEASE_S + 1)
    assert do(slices.claim_slice, "d").attempts == 2
    do(slices.release_slice, slice_id, "d")
    assert do(slices.claim_slice, "e").attempts == 2  # at once, as if it had not been taken
    do(slices.release_slice, slice_id, "d")
    assert do(slices.claim_slice, "f").id == other.id  # what others have, d cannot release
    assert do(slices.claim_slice, "g") is None


def test_what_is_finished_is_over(do):
    run = listed(do, ["x", "y"], ["z"])
    begun = status(do)
    assert [getattr(begun, name) for name in vars(Progress())] == [0] * 5
    slice_id = do(slices.claim_slice, "a").id
    done = Progress(done=1, failed=1, recordings=1, clips=2, seconds=3.0)
    assert do(slices.finish_slice, slice_id, "a", done)
    assert not do(slices.finish_slice, slice_id, "a", done)
    assert not do(slices.renew, slice_id, "a", Progress())
    assert do(slices.anything_left)
    assert do(slices.claim_slice, "a").files == ["z"]
    found = status(do)
    assert (found.run, found.finished, found.workers) == (run, False, ("a",))
    assert (found.done, found.failed, found.recordings) == (2, 1, 1)  # of two files, all done with
    assert (found.clips, found.seconds) == (2, 3.0)
    do(slices.finish_slice, slice_id + 1, "a", done)
    assert not do(slices.anything_left)
    assert status(do).finished
    assert status(do).workers == ()


def test_something_is_left_while_somebody_lists(do, later):
    assert not do(slices.anything_left)
    run = do(slices.open_run, "key", "calls", {})
    assert do(slices.anything_left)  # whoever opened it is about to
    do(slices.claim_listing, run, "a")
    later(LEASE_S)
    assert do(slices.anything_left)
    later(0.001)
    assert not do(slices.anything_left)
    assert not status(do).finished


def test_speed_is_that_of_the_last_ten_minutes(do, later):
    listed(do, ["x"], ["y"], ["z"])
    assert (status(do).clips_per_second, status(do).audio_per_second) == (0, 0)
    old = do(slices.claim_slice, "a").id
    later(10)
    do(slices.finish_slice, old, "a", Progress(clips=5, seconds=20.0))
    assert (status(do).clips_per_second, status(do).audio_per_second) == (0.5, 2.0)
    later(590)
    new = do(slices.claim_slice, "a").id
    later(10)
    do(slices.renew, new, "a", Progress(clips=1, seconds=4.0))
    assert status(do).clips_per_second == pytest.approx(6 / 610)  # the old one still counts
    later(0.001)
    assert status(do).clips_per_second == pytest.approx(0.1, rel=1e-3)
    assert status(do).audio_per_second == pytest.approx(0.4, rel=1e-3)
    assert status(do).clips == 6
    later(600)
    assert status(do).clips_per_second == 0


def test_less_than_a_second_counts_as_one(do, later):
    listed(do, ["x"])
    slice_id = do(slices.claim_slice, "a").id
    later(0.1)
    do(slices.renew, slice_id, "a", Progress(clips=3, seconds=6.0))
    assert (status(do).clips_per_second, status(do).audio_per_second) == (3.0, 6.0)


def test_a_run_that_is_dropped_takes_its_slices_with_it(do):
    run = listed(do, ["x"])
    kept = do(slices.open_run, "other", "calls", {})
    do(slices.drop_run, run)
    assert status(do).run == kept
    assert do(slices.claim_slice, "a") is None
    with pytest.raises(NotFoundError, match=f"no shared work {run}"):
        do(slices.drop_run, run)


def test_times_are_the_databases_which_are_now(database: Database):
    with database.write() as session:
        one, other = slices.now_of(session), slices.now_of(session)
    assert one < other  # not when the transaction began
    assert abs(datetime.now(UTC) - one) < timedelta(minutes=1)
