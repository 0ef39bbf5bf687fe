"""A process that really dies by SIGKILL while it sends: the next one continues, and no one gets a digest twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from addon.mail.outbox import UNKNOWN
from tests.mail.conftest import Post, by_account
from tests.support.servers import eventually
from tests.support.smtp import MailServer

ROOT = Path(__file__).parents[2]
SENDER = """
import sys
import addon.migrations.tables
from addon.base import Database, SystemClock
from addon.mail import Mailer, SmtpTransport

url, smtp, tenant, execution = sys.argv[1:]
mailer = Mailer(Database(url), SystemClock(), SmtpTransport.from_url(smtp), "Content Steward <steward@example.com>")
mailer.send_due(tenant, execution, addresses=lambda _, people: {each: f"{each}@example.org" for each in people})
"""


@pytest.mark.parametrize("stage", ["on_recipient", "on_content"])
def test_a_sender_killed_in_the_middle_sends_nothing_twice(post: Post, server: MailServer, stage: str) -> None:
    people = [f"p{n}" for n in range(8)]
    post.enqueue(*people)
    started: list[subprocess.Popen[bytes]] = []
    asked: list[str] = []

    def kill_at_the_fourth(who: str) -> None:
        asked.append(who)
        if len(asked) == 4:
            eventually(lambda: started)
            os.kill(started[0].pid, signal.SIGKILL)
            started[0].wait(60)

    setattr(server, stage, kill_at_the_fourth)
    words = [sys.executable, "-c", SENDER, str(post.database.url), server.url, post.tenant, post.execution]
    with subprocess.Popen(words, cwd=ROOT) as process:
        started.append(process)
        assert process.wait(60) == -signal.SIGKILL

    mailer = post.mailer()
    unknown = 1 if stage == "on_content" else 0
    assert mailer.boot() == unknown
    sent = mailer.send_due(post.tenant, post.execution, addresses=by_account)
    assert sent.sent == 5 - unknown
    assert max(Counter(server.recipients).values()) == 1
    assert post.counts()["emailsSent"] == 8 - unknown
    dead = [row for row in map(post.row, people) if row.state == "dead"]
    assert [row.reason for row in dead] == [UNKNOWN] * unknown
    missed = {f"{person}@example.org" for person in people} - set(server.recipients)
    assert missed <= {f"{row.account_id}@example.org" for row in dead}
