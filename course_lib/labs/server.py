"""Shorter answers from Jupyter Server: no waiting for small messages to fill a packet.

Jupyter Server leaves Nagle's algorithm on for the kernel's websocket: a small message waits for the browser to
confirm the one before, and a slider's answer comes some 40 ms late. Tornado can switch that off, and Jupyter Server
takes the connection class from a supported option:

    jupyter lab --ServerApp.kernel_websocket_connection_class=course_lib.labs.server.PromptConnection

`make lab` starts it so. The labs work without it, a little later.
"""

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """Jupyter Server's own kernel websocket, with TCP_NODELAY set."""

    def connect(self):
        self.websocket_handler.set_nodelay(True)
        return super().connect()
