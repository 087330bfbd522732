"""What the attributes of a span say about calls of models, tools and agents.

The names are those of OpenTelemetry's conventions for generative AI, in use and superseded, and
those of OpenInference, Langfuse, OpenLLMetry and the Vercel AI SDK. The first that is present
decides; what is of a wrong type counts as absent.
"""

from incidents.senders.genai.names import AGENT, CONTENT, GOALS, MODEL_CALLS, NAMES, TOOL
from incidents.senders.genai.troubles import Trouble, error_code, failure_type, trouble
from incidents.senders.genai.work import Work, content, read

__all__ = [
    "AGENT",
    "CONTENT",
    "GOALS",
    "MODEL_CALLS",
    "NAMES",
    "TOOL",
    "Trouble",
    "Work",
    "content",
    "error_code",
    "failure_type",
    "read",
    "trouble",
]
