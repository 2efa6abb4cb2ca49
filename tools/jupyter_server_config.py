"""Jupyter's settings while `make lab` runs."""

from pathlib import Path

c = get_config()  # noqa: F821  (Jupyter defines it)

# The whole repository, so that lessons, exercises and solutions can be opened; the index first.
c.ServerApp.root_dir = str(Path(__file__).resolve().parent.parent)
c.LabApp.default_url = "/lab/tree/chapters/index.ipynb"

# In the terminal: the address and what goes wrong, nothing else; and Ctrl-C ends it without a question.
c.Application.log_level = "WARN"
c.ServerApp.answer_yes = True

# The course is offline: no search for updates.
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"

# Without it small messages wait for an acknowledgement (Nagle's algorithm): 48 ms a slider event instead of 12.
c.ServerApp.kernel_websocket_connection_class = "course_lib.labs.server.PromptConnection"

# Names for sliders, and arrow keys that stay in a drop-down list.
c.LabApp.extra_labextensions_path = [str(Path(__file__).resolve().parent / "labextensions")]
