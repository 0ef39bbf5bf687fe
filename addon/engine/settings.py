"""The numbers of the engine. Every span of time derives from the lease's ttl (docs/rules/executions.md 1.4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Numbers of one process. All spans are in seconds.

    Parameters:
        ttl: how long a lease lasts without a beat.
        runners: how many executions run here at once; 0 for none.
        call_threads: how many calls of one execution are made at once.
        retry_seconds: the wait from a failed scheduled run to its retry.
        max_attempts: the length of a retry chain, the first run included.
        precedence_attempts: after so many failed attempts the slots of other job types need not wait any more.
        tick_seconds: how often due schedules are looked for.
        stuck_seconds: how long a run may pass no safe point before its spaces fail as stuck.
        recorded_slots: how many missed slots of one site are recorded one by one at a time; the rest is a number.
        version: this release, as the worker registry shows it.
    """

    ttl: float = 60.0
    runners: int = 4
    call_threads: int = 8
    retry_seconds: float = 300.0
    max_attempts: int = 4
    precedence_attempts: int = 3
    tick_seconds: float = 10.0
    stuck_seconds: float = 1800.0
    recorded_slots: int = 1000
    version: str = "0"

    @property
    def beat(self) -> float:
        """Return the span between two heartbeats."""
        return self.ttl / 4

    @property
    def again(self) -> float:
        """Return the span to the next attempt when the database could not be used."""
        return self.ttl / 16

    @property
    def margin(self) -> float:
        """Return by how much the local trust ends before the lease does."""
        return self.ttl / 12

    @property
    def reaper(self) -> float:
        """Return how often expired leases are looked for."""
        return self.ttl / 6

    @property
    def call_limit(self) -> float:
        """Return the most one call may take in total."""
        return self.ttl / 2

    @property
    def write_trust(self) -> float:
        """Return the trust that must be left for a call that changes something to begin."""
        return self.ttl / 6
