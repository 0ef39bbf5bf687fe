"""Every table of the house, imported once so that MetaData, migrations and foreign keys are complete."""

import addon.confluence.models
import addon.connect.models
import addon.engine.models
import addon.jobs.models
import addon.mail.models
import addon.policies.models  # noqa: F401
