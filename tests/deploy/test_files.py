"""The files in deploy/ speak of what is there: settings, commands, options, ports, times and sizes."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from sqlalchemy.pool import QueuePool

from addon.base import Database
from addon.cli import main
from addon.config import Settings
from addon.server import MAX_BODY_BYTES, Limits

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
NGINX = (DEPLOY / "nginx.conf").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ENVIRONMENT = {f"STEWARD_{name.upper()}" for name in Settings.model_fields}
PORT = 8080


def _files() -> Iterator[Path]:
    yield from (path for path in DEPLOY.rglob("*") if path.is_file() and path.name not in ("steward.env", ".env"))


def _takes(words: list[str]) -> None:
    """Have the command line judge words as it would judge them, without doing anything."""
    command, *arguments = words
    found = main.commands[command]
    with click.Context(main, info_name="steward") as parent:
        found.make_context(command, list(arguments), parent=parent)


def _containerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def _unit(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    assert set(parser.sections()) == {"Unit", "Service", "Install"}
    return dict(parser["Service"])


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_every_setting_that_is_named_exists() -> None:
    for path in [*_files(), *DOCUMENTS]:
        named = set(re.findall(r"\bSTEWARD_[A-Z_]+[A-Z]", path.read_text()))
        assert named <= ENVIRONMENT, path


def test_every_file_says_where_it_goes_and_keeps_no_secret() -> None:
    for path in _files():
        text = path.read_text()
        assert not re.search(r"[A-Za-z0-9_-]{43}=", text), f"{path}: an encryption key"
    example = (DEPLOY / "steward.env.example").read_text()
    assert "\nSTEWARD_ENCRYPTION_KEYS=\n" in example, "which every start refuses until one was made"


def test_every_command_of_the_documents_exists_with_its_options() -> None:
    told = 0
    for path in [*DOCUMENTS, *_files()]:
        text = path.read_text()
        written = re.findall(r"`(?:[.\w/]*/)?steward ([a-z][^`]*)`", text)
        written += re.findall(r"^(?:[.\w/]*/)?steward ([a-z].*)$", text, re.MULTILINE)
        for words in written:
            command, *rest = shlex.split(words.replace("\n", " "), comments=True)
            assert command in main.commands, f"{path}: steward {words}"
            options = {name for option in main.commands[command].params for name in option.opts}
            assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options | {"--help"}, words
            told += 1
    assert told > 20


def test_the_container_is_built_from_what_is_there_and_serves_where_it_says() -> None:
    steps = _containerfile()
    copied = [words.split()[:-1] for name, words in steps if name == "COPY" and "--from" not in words]
    assert [source for sources in copied for source in sources if not (ROOT / source).exists()] == []
    [command] = [words for name, words in steps if name == "CMD"]
    words = yaml.safe_load(command)
    assert [words for name, words in steps if name == "ENTRYPOINT"] == ['["steward"]']
    _takes(words)
    assert words[words.index("--port") + 1] == str(PORT)
    assert words[words.index("--host") + 1] == "0.0.0.0"
    assert ("EXPOSE", str(PORT)) in steps
    [check] = [words for name, words in steps if name == "HEALTHCHECK"]
    assert f"http://127.0.0.1:{PORT}/healthz" in check
    assert ("USER", "steward") in steps
    assert [name for name, _ in steps if name == "FROM"] == ["FROM", "FROM"]


def test_the_container_gets_everything_that_the_wheel_is_made_of() -> None:
    import tomllib

    build = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = build["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], build["project"]["readme"]}
    needed |= {"pyproject.toml", "constraints.txt", *build["project"]["license-files"]}
    copied = {source for name, words in _containerfile() if name == "COPY" for source in words.split()[:-1]}
    assert {name.rstrip("/") for name in needed} <= copied


def test_compose_runs_commands_that_exist_in_the_order_that_a_start_needs() -> None:
    services = COMPOSE["services"]
    ours = {name: service for name, service in services.items() if service["image"] == "content-steward"}
    assert set(ours) == {"migrate", "web", "worker"}
    for service in ours.values():
        _takes(service["command"])
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert _seconds(service["stop_grace_period"]) > Settings().stop_seconds
        assert (DEPLOY / f"{service['env_file']}.example").is_file()
        url = re.sub(r"\$\{[^}]*\}", "password", service["environment"]["STEWARD_DATABASE_URL"])
        assert Settings(database_url=url).database_url == url
        assert "@database/" in url
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["worker"]["healthcheck"] == services["migrate"]["healthcheck"] == {"disable": True}
    for volume in [each for each in services["proxy"]["volumes"] if each.startswith("./") and "tls" not in each]:
        assert (DEPLOY / volume.split(":")[0]).is_file()


def test_postgresql_has_room_for_every_connection_that_compose_may_open() -> None:
    runners, workers = Settings().runners, COMPOSE["services"]["worker"]["deploy"]["replicas"]
    sizes = [Database("postgresql+psycopg://h/d", pool_size=each + 24).engine.pool for each in (0, runners)]
    web, worker = (pool.size() + pool._max_overflow for pool in sizes if isinstance(pool, QueuePool))
    worker += 4  # procrastinate's own
    assert f"at most {web + workers * worker} connections" in (DEPLOY / "compose.yaml").read_text()
    [most] = [word for word in COMPOSE["services"]["database"]["command"] if "max_connections" in word]
    assert web + workers * worker < int(most.partition("=")[2])
    guide = " ".join((ROOT / "docs" / "deploying.md").read_text().split())
    assert f"a web process may open {web}, a worker {worker}." in guide


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_units_run_commands_that_exist_and_give_them_the_time_to_stop(path: Path) -> None:
    service = _unit(path)
    program, *words = shlex.split(service["ExecStart"])
    assert program == "/opt/steward/bin/steward"
    _takes(words)
    assert float(service["TimeoutStopSec"]) > Settings().stop_seconds
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert int(service["LimitNOFILE"]) > 2 * Limits().connections
    if words[0] == "serve":
        assert words[words.index("--port") + 1] == str(PORT)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text().replace("/opt/steward/bin/steward", "/bin/true")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if line.startswith(tuple(p.name[:11] for p in UNITS))]
    assert complaints == []


Block = list[tuple[list[str], "Block | None"]]


def _nginx(text: str) -> Block:
    """Return the directives of an nginx configuration, each with the directives of its block. Fails on loose ends."""
    tokens = re.findall(r"#[^\n]*|[{};]|\"[^\"]*\"|[^\s{};]+", text)
    stack: list[Block] = [[]]
    words: list[str] = []
    for token in (token for token in tokens if not token.startswith("#")):
        if token == ";":
            assert words, "an empty directive"
            stack[-1].append((words, None))
            words = []
        elif token == "{":
            inner: Block = []
            stack[-1].append((words, inner))
            stack.append(inner)
            words = []
        elif token == "}":
            assert not words, f"no semicolon after {words}"
            stack.pop()
        else:
            words.append(token)
    assert len(stack) == 1
    assert not words
    return stack[0]


def _block(directives: Block, *words: str) -> Block:
    [found] = [inner for name, inner in directives if name == list(words)]
    assert found is not None
    return found


def _value(directives: Block, name: str) -> list[str]:
    [found] = [words[1:] for words, inner in directives if words[0] == name and inner is None]
    return found


def test_the_proxy_leaves_path_and_query_as_they_were_signed() -> None:
    """A proxy_pass with a path, a rewrite, or merged slashes would change what the qsh was computed from."""
    server = _block(_nginx(NGINX), "server")
    locations = [inner for words, inner in server if words[0] == "location" and inner]
    passes = [words for inner in locations for words, _ in inner if words[0] == "proxy_pass"]
    assert passes == [["proxy_pass", "http://steward"]]
    assert _value(server, "merge_slashes") == ["off"]
    names = {words[0] for inner in [server, *locations] for words, _ in inner}
    assert not names & {"rewrite", "try_files", "index", "alias", "root"}


def test_the_proxy_keeps_slow_clients_to_itself_and_is_the_one_that_closes_first() -> None:
    top = _nginx(NGINX)
    server, upstream = _block(top, "server"), _block(top, "upstream", "steward")
    everything = _block(server, "location", "/")
    assert _value(everything, "proxy_request_buffering") == _value(everything, "proxy_buffering") == ["on"]
    assert _value(upstream, "server") == [f"web:{PORT}"]
    assert "web" in COMPOSE["services"]
    assert _seconds(_value(upstream, "keepalive_timeout")[0]) < Limits().idle_seconds
    assert int(_value(server, "client_max_body_size")[0].removesuffix("m")) * 1_000_000 == MAX_BODY_BYTES
    assert _value(server, "limit_conn")[0] in _value(top, "limit_conn_zone")[1]
    published = [port.split(":")[-1] for port in COMPOSE["services"]["proxy"]["ports"]]
    assert [_value(server, "listen")[0]] == published


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on this machine")
def test_nginx_understands_its_configuration(tmp_path: Path) -> None:
    made = re.sub(r"\n\s*ssl_certificate(_key)?\s[^\n]*", "", NGINX)
    made = made.replace("443 ssl", "127.0.0.1:8443").replace("server web:", "server 127.0.0.1:")
    (tmp_path / "site.conf").write_text(made)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    done = subprocess.run(
        ["nginx", "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"
