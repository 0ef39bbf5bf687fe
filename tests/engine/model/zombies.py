"""Workers that do not own their execution any more: they try to write in every way there is, in vain."""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.engine.model.hands import OUTCOMES, OWNER_MAY
from tests.engine.model.workers import Workers
from tests.engine.model.world import TTL, Hand, pick, tenants

DEEDS = ("list", "finish", "pause", "give back", "settle", "give up", *OUTCOMES, *(f"try {name}" for name in OWNER_MAY))
MANY = 4


class Zombies(Workers):
    """Hands whose row names another owner, none, or the same worker under a higher fence."""

    def zombies(self) -> list[Hand]:
        return [hand for hand in self.hands if not hand.owns(self.seen)]

    @rule(
        tenant=tenants,
        worker=pick,
        again=st.sampled_from(("nobody", "the same", "another")),
        first=st.integers(0, len(DEEDS) - 1),
    )
    def oversleep(self, tenant: int, worker: int, again: str, first: int) -> None:
        """A worker sleeps past its lease while it is at work; the reaper takes its execution, and perhaps a worker."""
        asleep = self.held_by(tenant, worker)
        if asleep is None:
            return
        if self.row(asleep.run.execution_id).status == "running":
            self.act(asleep, self.list_spaces)
        if asleep not in self.hands:
            return
        self.clock.advance(TTL + 1)
        self.reap(worker)
        if again != "nobody":
            own = self.workers.index(asleep.engine)
            taken = self.take_one(self.worker(own if again == "the same" else own + 1))
            if taken is not None and self.row(taken.run.execution_id).status == "running":
                self.act(taken, self.list_spaces)
        self.try_all(asleep, first)

    @precondition(lambda self: self.zombies())
    @rule(hand=pick, first=st.integers(0, len(DEEDS) - 1))
    def come_back(self, hand: int, first: int) -> None:
        zombies = self.zombies()
        for each in zombies[:-MANY]:
            self.drop(each)
        zombies = zombies[-MANY:]
        self.try_all(zombies[hand % len(zombies)], first)

    def try_all(self, hand: Hand, first: int) -> None:
        """Try everything, beginning with one thing or another."""
        before, answer = self.look(), self.site.answer
        self.site.answer = "answers"
        for deed in islice(cycle(DEEDS), first, first + len(DEEDS)):
            self.stop_as_a_runner(hand, partial(self.try_to, deed=deed), owned=False)
        self.site.answer = answer
        assert self.look() == before, "a zombie writes nothing"

    def try_to(self, hand: Hand, deed: str) -> None:
        if deed == "list":
            self.list_spaces(hand)
        elif deed == "finish":
            hand.drive._finalize()
        elif deed == "pause":
            self.pause(hand, 3600)
        elif deed == "settle":
            hand.drive._conclude()
        elif deed == "give up":
            self.submitting.give_up(hand.run, "a zombie")
        elif deed == "give back":
            hand.drive._give_back()
        elif deed in OUTCOMES:
            self.record(hand, deed)
        else:
            assert not self.attempt(hand, deed.removeprefix("try ")), deed
