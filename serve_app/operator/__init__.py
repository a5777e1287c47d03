"""What an operator sees and may do on the page at `/operator`."""

from serve_app.operator.console import Console, ConsoleSettings
from serve_app.operator.view import OperatorView, look

__all__ = ["Console", "ConsoleSettings", "OperatorView", "look"]
