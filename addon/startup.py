"""Settings as a command reads them: each one judged before anything starts, each mistake said with its variable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from addon.config import Settings, nearest
from addon.connect import AllowedHosts
from addon.mail import Sender, SmtpTransport

PREFIX = "STEWARD_"
NAMES = frozenset(name.upper() for name in Settings.model_fields)


class SettingsMistaken(Exception):
    """Settings that cannot be meant: one line for each, which begins with the variable's name."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(**overrides: Any) -> Settings:
    """Return the settings of this process's environment. Raises SettingsMistaken, with no secret in it.

    Parameters: fields of Settings that a command's own options decide.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        # Without the context of each error there would be no limits to tell, and the input is not repeated.
        errors = error.errors(include_url=False, include_input=False)
        raise SettingsMistaken([f"{PREFIX}{str(each['loc'][0]).upper()} {_words(each)}" for each in errors]) from error
    if mistakes := list(_parts_refuse(settings)):
        raise SettingsMistaken(mistakes)
    return settings


def strangers(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for each STEWARD_ variable that is no setting, with the setting that was probably meant.

    They do not stop a start: a container platform may add variables of its own (STEWARD_PORT for a service of that
    name). Parameters: `environment` is the process's own when not given.
    """
    names = os.environ if environment is None else environment
    unknown = sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper()[8:] not in NAMES)
    return [_stranger(name) for name in unknown]


def _stranger(name: str) -> str:
    meant = nearest(name[len(PREFIX) :], NAMES)
    return f"{name} is no setting and is ignored" + (f"; did you mean {PREFIX}{meant}?" if meant else "")


def _parts_refuse(settings: Settings) -> Iterator[str]:
    """Yield what the parts themselves would refuse when they are built."""
    smtp = settings.smtp_url
    parts: list[tuple[str, Callable[[], object]]] = [
        ("ALLOWED_HOSTS", lambda: AllowedHosts(settings.allowed_hosts)),
        ("MAIL_FROM", lambda: Sender(settings.mail_from)),
        ("SMTP_URL", lambda: smtp and SmtpTransport.from_url(smtp.get_secret_value())),
    ]
    for name, build in parts:
        try:
            build()
        except ValueError as error:
            yield f"{PREFIX}{name}: {error}"


def _words(error: Mapping[str, Any]) -> str:
    """Return what is wrong in words; pydantic's own say \"input should be\"."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_parsing" | "int_from_float" | "int_type" | "int_parsing_size":
            return "must be a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "must be a number"
        case "greater_than_equal":
            return f"must be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"must be at most {limits['le']:g}"
        case "literal_error":
            return f"must be {limits['expected']}"
        case _:
            return "cannot be read"
