"""What a host installs: the Connect descriptor, built from one template and checked."""

from descriptor.serve import descriptor_blueprint
from descriptor.template import build, template_path
from descriptor.validation import DescriptorInvalid, implied, validate

__all__ = ["DescriptorInvalid", "build", "descriptor_blueprint", "implied", "template_path", "validate"]
