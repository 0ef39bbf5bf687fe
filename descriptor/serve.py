"""The address of the descriptor, /atlassian-connect.json, open to everyone."""

from __future__ import annotations

import json

from flask import Blueprint, Response

from addon.base import get_logger
from addon.config import Settings
from addon.connect import admits
from descriptor.template import NAME, build
from descriptor.validation import DescriptorInvalid, validate

log = get_logger(__name__)


def descriptor_blueprint(settings: Settings) -> Blueprint:
    """Return the blueprint with GET /atlassian-connect.json. A descriptor that hosts would refuse is logged at once."""
    descriptor = build(settings)
    try:
        validate(descriptor)
    except DescriptorInvalid as error:
        log.warning("Confluence will refuse the descriptor", action="descriptor_invalid", error=str(error))
    body = json.dumps(descriptor, indent=2)
    blueprint = Blueprint("descriptor", __name__)

    @blueprint.get(f"/{NAME}")
    @admits("public")
    def connect_descriptor() -> Response:
        return Response(body, mimetype="application/json")

    return blueprint
