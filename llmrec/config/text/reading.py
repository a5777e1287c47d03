"""Section `reading`: which reader reads the reviews, and how it runs."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from llmrec.config.base import Section
from llmrec.config.text.encoding import ActorsConfig
from llmrec.config.text.precision import Precision, usual_precision
from llmrec.names import PROFILE_MAKERS, READERS, check_names


class ProfilesConfig(Section):
    """Profiles of users and of items, each from reviews before a moment. Without a maker there are none."""

    maker: str | None = Field(None, description="a name of the list `profile makers`; none: no profiles")
    new_reviews: int = Field(2, ge=1, description="reviews with words that a profile, and each newer one, waits for")
    growth: float = Field(0.5, ge=0, description="and so many more as a share of those that the last one was made of")
    max_tokens: int = Field(512, ge=64, description="of generate: of the reviews that the model is shown, newest first")

    @field_validator("maker")
    @classmethod
    def _maker_exists(cls, maker: str | None) -> str | None:
        if maker is not None:
            check_names("profile maker", [maker], PROFILE_MAKERS)
        return maker


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
    dtype: Precision = Field(
        default_factory=lambda section: "bfloat16" if section.get("gpus_per_actor") else usual_precision(),
        description="of products; unless named, bfloat16 on GPUs and on CPUs with units for it, else float32",
    )
    price_input: float = Field(0.0, ge=0, description="money a million prompt tokens, for `jobs.read --check`")
    price_output: float = Field(0.0, ge=0, description="money a million output tokens")
    batch_tokens: int = Field(4_096, ge=64, description="tokens of one step of the engine")
    batch_texts: int = Field(256, ge=1, description="texts between two commits: what a crash may cost an actor")
    profiles: ProfilesConfig = ProfilesConfig()

    @field_validator("reader")
    @classmethod
    def _reader_exists(cls, reader: str | None) -> str | None:
        if reader is not None:
            check_names("reader", [reader], READERS)
        return reader

    @model_validator(mode="after")
    def _profiles_have_something_to_read(self) -> Self:
        maker = self.profiles.maker
        if maker is not None and self.reader is None:
            raise ValueError("profiles.maker: found no reading.reader, expected one; lexicon needs no model")
        if maker == "extractive" and self.reader in ("head", "choose"):
            raise ValueError(
                f"profiles.maker: extractive counts aspects and phrases, which the reader {self.reader} does not find; "
                "expected reading.reader lexicon or generate, or the maker generate"
            )
        return self
