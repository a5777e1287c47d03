"""Section `reading`: which reader reads the reviews, and how it runs."""

from typing import Literal

from pydantic import Field, field_validator

from llmrec.config.encoding import ActorsConfig
from llmrec.names import READERS, check_names


class ReviewReadingConfig(ActorsConfig):
    """What decides a reading, and where it is made. Without a reader nothing is read, and no family is made of it."""

    reader: str | None = Field(None, description="a name of the list `readers`; none: the stage is left out")
    model: str = Field(
        "default",
        min_length=1,
        description="of choose and generate: hub id, local folder, or package:MODULE/FILE.gguf; `default` is the "
        "packaged SmolLM2-135M",
    )
    revision: str | None = Field(None, description="commit or tag of a hub id")
    prompt: str | None = Field(None, description="file with a prompt of your own, with the placeholder {review}")
    max_text_tokens: int = Field(256, ge=16, description="of a review that the model is shown; longer ones are cut")
    max_output_tokens: int = Field(160, ge=16, description="of generate's answer")
    shots: int = Field(0, ge=0, le=16, description="of choose: labelled reviews from before T1 that the prompt shows")
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    price_input: float = Field(0.0, ge=0, description="money a million prompt tokens, for `jobs.read --check`")
    price_output: float = Field(0.0, ge=0, description="money a million output tokens")
    batch_tokens: int = Field(4_096, ge=64, description="tokens of one step of the engine")
    batch_texts: int = Field(256, ge=1, description="texts between two commits: what a crash may cost an actor")

    @field_validator("reader")
    @classmethod
    def _reader_exists(cls, reader: str | None) -> str | None:
        if reader is not None:
            check_names("reader", [reader], READERS)
        return reader
