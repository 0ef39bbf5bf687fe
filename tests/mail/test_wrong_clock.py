"""A clock that is ten years ahead for one round: the mails that it has put off or leased go out in the next."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from addon.mail.models import OutboxMail
from tests.mail.conftest import Post, by_account
from tests.support.postgres import BOTH
from tests.support.smtp import MailServer

TEN_YEARS = timedelta(days=3650)


@BOTH
def test_what_was_put_off_or_leased_until_then_is_sent_now(post: Post, server: MailServer) -> None:
    post.enqueue("put-off", "leased")
    ahead = post.clock.now() + TEN_YEARS
    with post.database.write(post.tenant) as session:
        of = sa.update(OutboxMail).where
        session.execute(of(OutboxMail.account_id == "put-off").values(not_before=ahead))
        session.execute(of(OutboxMail.account_id == "leased").values(lease_owner="dead", lease_until=ahead))
    sent = post.mailer().send_due(addresses=by_account)
    assert (sent.sent, sent.pending) == (2, 0)


@BOTH
def test_what_was_handed_over_by_a_sender_that_died_then_is_closed(post: Post, server: MailServer) -> None:
    post.enqueue("begun")
    ahead = post.clock.now() + TEN_YEARS
    with post.database.write(post.tenant) as session:
        begun = {"lease_owner": "dead", "lease_until": ahead, "begun_at": ahead}
        session.execute(sa.update(OutboxMail).values(begun))
    assert post.mailer().send_due(addresses=by_account).failed == 1
    assert post.states() == {"begun": "dead"}
