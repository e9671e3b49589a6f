"""Go templates, as Versus Incident and Alertmanager take them, as Jinja2 templates of Slack messages."""

from versus_py.tools.convert.parsing import NotGo
from versus_py.tools.convert.writing import Conversion, convert

__all__ = ["Conversion", "NotGo", "convert"]
