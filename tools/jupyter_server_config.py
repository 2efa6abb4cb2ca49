"""Jupyter's settings while `make lab` runs."""

c = get_config()  # noqa: F821  (Jupyter defines it)

# Without it small messages wait for an acknowledgement (Nagle's algorithm): 48 ms a slider event instead of 12.
c.ServerApp.kernel_websocket_connection_class = "course_lib.labs.server.PromptConnection"
