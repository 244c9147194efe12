"""Where cells run: `inline` in this process, `local` in worker processes."""

from suite.experiment.executors.executor import Executor
from suite.experiment.executors.inline import InlineExecutor
from suite.experiment.executors.local import LocalExecutor

__all__ = ["Executor", "InlineExecutor", "LocalExecutor"]
