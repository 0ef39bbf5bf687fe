"""After a whole life of the add-on no secret, token, key or password is in its logs, answers, metrics or database."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
from cryptography.fernet import Fernet

from addon.config import Settings
from addon.sandbox.seed import seed_demo
from addon.sandbox.site import ADMIN, Site
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.smtp import MailServer

PASSWORD = "smtp-pass-word-0815"
METRICS = "metrics-token-4711"
TOKEN = re.compile(rb"eyJ[\w-]{8,}")
WHOLE_TOKEN = re.compile(rb"eyJ[\w-]{8,}\.eyJ")
"""In binary data: three letters in a row mean nothing there."""


@dataclass
class Heard:
    """Everything the add-on said, by where it said it."""

    logs: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


class _Listening(logging.Handler):
    def __init__(self, heard: Heard) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(pathname)s"))
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        # aiosmtpd logs as "mail.log"; here it is the mail server at the other end, which must hear the password.
        if record.name != "mail.log":
            self._heard.logs.append(self.format(record) + repr(vars(record)))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Listens to all logs at DEBUG, as `steward --verbose` writes them, and to every answer of a loopback server."""
    found = Heard()
    root, handler = logging.getLogger(), _Listening(found)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    send = requests.Session.send

    def listening(self: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        answer = send(self, request, **options)  # type: ignore[arg-type]
        if "/wiki/" not in str(request.url) and "/install-keys/" not in str(request.url):
            found.answers.append(repr(answer.headers).encode() + answer.content)
        return answer

    monkeypatch.setattr(requests.Session, "send", listening)
    yield found
    root.removeHandler(handler)
    root.setLevel(level)


def _open(heard: Heard, url: str) -> int:
    """Open a page as a browser does, without a library that logs the address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    heard.answers.append(repr(answer.getheaders()).encode() + answer.read())
    connection.close()
    return answer.status


def _a_whole_life(house: House, heard: Heard) -> set[str]:
    """Let happen what happens, refusals and errors included; return the shared secrets of that time."""
    host = house.site.host
    secrets = {host.addon().secret}
    assert _open(heard, host.page_url(ADMIN, "site-jobs")) == 200
    page = host.page_url(ADMIN, "site-jobs")
    assert _open(heard, page.replace("/jobs?", "/audit-log?")) == 401
    assert _open(heard, page + "x") == 401
    for job in ("refresh-statuses", "execute-automations"):
        assert house.run(job)["status"] == "successful"
    found = house.api("GET", "/api/policies")
    document = found.json()
    rule = document["notificationSchemes"][0]["rules"][0]
    rule["enabled"], rule["recipients"] = True, [{"user": ADMIN}]
    assert house.api("PUT", "/api/policies", json=document, headers={"If-Match": found.headers["ETag"]}).ok
    sent = house.run("send-notifications")
    assert sent["metrics"]["emailsSent"] == 1, sent
    for path in ("/api/jobs", "/api/executions", f"/api/executions/{sent['id']}/items", "/api/openapi.json"):
        assert house.api("GET", path).ok
    assert house.api("GET", "/api/executions/nonsense").status_code == 404
    assert house.api("PUT", "/api/policies", data=b"{", headers={"If-Match": "1"}).status_code >= 400
    assert host.send_webhook("page_updated", {"page": {"id": 1}}) == [204]
    assert host.send_webhook("page_updated", {"page": {"id": host.addon().secret}}) == [400]
    forged = host.context_token(ADMIN) + "x"
    answer = requests.get(house.url + "/api/jobs", headers={"Authorization": f"JWT {forged}"}, timeout=10)
    assert answer.status_code == 401
    house.clock.advance(1)
    secrets.add(host.rotate_secret().secret)
    assert house.run("refresh-statuses")["status"] == "successful"
    # The site forgets the add-on: our signature is refused from here on.
    addon = host.addon()
    house.site.unregister_addon(addon.key)
    house.clock.advance(3600)
    assert house.parts.db is not None
    tenant = house.parts.tenants.installed()[0].id
    with pytest.raises(Exception, match="install"), house.parts.confluence.client(tenant) as client:
        client.spaces()
    host.install(f"{house.url}/atlassian-connect.json")
    secrets.add(host.addon().secret)
    return secrets


def _metrics(house: House) -> bytes:
    headers = {"Authorization": f"Bearer {METRICS}"}
    answer = requests.get(house.url + "/metrics", headers=headers, timeout=10)
    assert answer.ok
    return answer.content


def test_no_secret_token_key_or_password_is_in_logs_answers_metrics_or_the_database(
    tmp_path: Path, heard: Heard
) -> None:
    clock, key = VirtualClock(), Fernet.generate_key().decode()
    site = Site(clock)
    seed_demo(site)
    with (
        MailServer(login=("steward", PASSWORD)) as mail,
        house_over(
            site,
            clock,
            tmp_path,
            encryption_keys=(key,),
            metrics_token=METRICS,
            smtp_url=mail.url.replace("//", f"//steward:{quote(PASSWORD)}@"),
        ) as house,
    ):
        secrets = _a_whole_life(house, heard)
        metrics = _metrics(house)
        raw = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
        assert len(mail.mails) == 1
        clock.advance(1)
        site.host.uninstall()
    logs = "\n".join(heard.logs).encode()
    answers = b"\n".join(heard.answers)
    said = {"logs": logs, "answers": answers, "metrics": metrics, "database": raw}
    # What the site says of itself proves that the listening works.
    assert b"installed" in logs
    assert b"refresh-statuses" in answers
    assert b"steward_tenants_installed 1.0" in metrics
    assert b"policy_version" in raw
    assert len(secrets) == 3

    login = base64.b64encode(f"\0steward\0{PASSWORD}".encode()).decode()
    hidden = [*secrets, key, PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), login, METRICS]
    for place, text in said.items():
        for secret in hidden:
            assert secret.encode() not in text, f"{secret} in {place}"
        token = (WHOLE_TOKEN if place == "database" else TOKEN).search(text)
        assert token is None, f"a token in {place}: {text[max(0, token.start() - 200) : token.end()]!r}"


def test_settings_show_no_secret_when_they_are_printed() -> None:
    key = Fernet.generate_key().decode()
    settings = Settings(encryption_keys=(key,), smtp_url=f"smtp://u:{PASSWORD}@h:25", metrics_token=METRICS)
    for text in (
        repr(settings),
        str(settings),
        json.dumps(settings.model_dump(mode="json", exclude={"encryption_keys"})),
    ):
        assert not [secret for secret in (key, PASSWORD, METRICS) if secret in text]
