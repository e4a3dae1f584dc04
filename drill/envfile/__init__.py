"""The env file: read as python-dotenv reads it, edited byte by byte, replaced so that a crash leaves old or new."""

from drill.envfile.edit import EditPlan, EditVerdict, FlagChange, plan_edit
from drill.envfile.envfile import EnvFile
from drill.envfile.failure import EnvWriteFailed
from drill.envfile.flags import FLAGS
from drill.envfile.replace import IntentLog

__all__ = ["FLAGS", "EditPlan", "EditVerdict", "EnvFile", "EnvWriteFailed", "FlagChange", "IntentLog", "plan_edit"]
