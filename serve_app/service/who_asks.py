"""A request as the deployments understand it: who asks, the words already vectors."""

import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from llmrec.diversity import Diversity
from llmrec.reasons import sentences
from serve_app.errors import ApiError
from serve_app.messages import EncodedTexts, Floats, NotHeld, RequestUser, TextKind, TextUse, Wish
from serve_app.schemas.requests import RecommendRequest, UserRequest
from serve_app.service.deployments import Deployments


@dataclass(frozen=True)
class WhoAsks:
    """Asks the retriever what a text is good for, and the encoder for its vectors where it is."""

    deployments: Deployments

    async def of(self, request: UserRequest, now: int | None, need: float = 0.0) -> tuple[RequestUser, str | None]:
        """Who asks, and why the text, if there is one, was not encoded although it would be read."""
        user = replace(_named(request, need), quotes=self.deployments.config.quotes)
        user, skipped = await self._with_text(user, request.text, now)
        if not user.unwanted:
            return user, skipped
        unwanted, encoder, mute = await self.wish(user.unwanted.text, None)
        if user.encoder not in (None, encoder):
            unwanted = replace(unwanted, vector=None)  # another one meanwhile: vectors that cannot be compared
        return replace(user, unwanted=unwanted, encoder=user.encoder or encoder), skipped or mute

    async def _with_text(self, user: RequestUser, text: str | None, now: int | None) -> tuple[RequestUser, str | None]:
        if text is None or not text.strip():
            return user, None
        use = await self._text_use(user.user_id, now)
        if use in ("known_user", "bundle_without_text"):
            return user, "bundle_without_text" if use == "bundle_without_text" else None
        if use == "need" and user.need == 0:
            return user, None
        until = time.monotonic() + self.deployments.config.text_timeout_s
        user, skipped = await self._with_words(user, text, taste=use != "need")
        if use != "encode_and_read" or user.vector is None:
            return user, skipped
        user, unread = await self._with_reading(user, text, user.vector, until)
        return user, unread or skipped

    async def _text_use(self, user_id: str | None, now: int | None) -> TextUse:
        def ask() -> Awaitable[TextUse]:
            return self.deployments.call("text_use", self.deployments.retriever.text_use, user_id, now)

        return await (ask() if user_id is not None else self.deployments.remember("text_use", ask))

    async def _with_words(self, user: RequestUser, text: str, taste: bool) -> tuple[RequestUser, str | None]:
        """The user with their words as a wish and, if `taste`, as what they would write in a review."""
        # as a document: what users wrote is what profiles were made of in training
        quotable = tuple(sentences(text)) if taste and user.reasons else ()
        spoken = await self._vectors([text, *(quotable if len(quotable) > 1 else ())], "document") if taste else None
        if taste and spoken is None:
            return replace(user, wish=Wish(text)), "encoder_unavailable"
        wish, encoder, skipped = await self.wish(text, spoken)
        if spoken is None:
            return replace(user, wish=wish, encoder=encoder), skipped
        of_sentences = spoken.vectors[1:] if len(quotable) > 1 else None
        return replace(
            user,
            wish=wish,
            encoder=encoder,
            vector=spoken.vectors[0],
            sentences=quotable,
            sentence_vectors=of_sentences,
        ), skipped

    async def wish(self, text: str, spoken: EncodedTexts | None) -> tuple[Wish, str | None, str | None]:
        """The text as what is looked for, the encoder, and why there is none. `spoken`: it as a document."""
        known = spoken if spoken is not None and spoken.one_prompt else await self._vectors([text], "query")
        if known is None:
            return Wish(text), spoken.encoder if spoken else None, "encoder_unavailable"
        return Wish(text, known.vectors[0]), known.encoder, None

    async def _vectors(self, texts: list[str], kind: TextKind) -> EncodedTexts | None:
        """Vectors of the texts; None where the encoder does not give them in time."""
        limit, encode = self.deployments.config.text_timeout_s, self.deployments.encoder.encode
        try:
            return await self.deployments.call_within(limit, "text", encode, texts, kind, True)
        except TimeoutError:
            return None
        except ApiError as error:
            if error.status_code != 503:
                raise
            return None

    async def _with_reading(
        self, user: RequestUser, text: str, vector: Floats, until: float
    ) -> tuple[RequestUser, str | None]:
        """Who asks, with what the bundle's reader reads in what is left of the text's time; else why not."""
        left = max(until - time.monotonic(), 0.001)
        read_of = self.deployments.retriever.read
        try:
            read = await self.deployments.call_within(left, "read", read_of, text, vector, user.encoder)
        except TimeoutError:
            return user, "reader_unavailable"
        except ApiError as error:
            if error.status_code != 503:
                raise
            return user, "reader_unavailable"
        if isinstance(read, NotHeld) or read.row is None:
            return user, "reader_unavailable" if isinstance(read, NotHeld) else "reader_not_served"
        return replace(user, words=read), None


def _named(request: UserRequest, need: float) -> RequestUser:
    """What the request says without its text."""
    user = RequestUser(request.user_id, tuple(request.liked_items), tuple(request.recent_items),
                       context=request.context, reasons=request.reasons)  # fmt: skip
    if not isinstance(request, RecommendRequest):
        return user
    unwanted = request.disliked_text if request.disliked_text and request.disliked_text.strip() else None
    diversity = None if request.diversity is None else Diversity(**vars(request.diversity))
    return replace(
        user, explore=request.exploration(), like=request.like, disliked=tuple(request.disliked_items), need=need,
        compare=request.without_text,
        unwanted=None if unwanted is None else Wish(unwanted), diversity=diversity, only=request.restriction(),
    )  # fmt: skip
