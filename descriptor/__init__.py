"""What a host installs: the Connect descriptor, built from one template and checked."""

from descriptor.rules import DescriptorInvalid, implied, validate
from descriptor.serve import descriptor_blueprint
from descriptor.template import build, template_path

__all__ = ["DescriptorInvalid", "build", "descriptor_blueprint", "implied", "template_path", "validate"]
