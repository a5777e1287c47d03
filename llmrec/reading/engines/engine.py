"""vLLM as a generator. With the encoders' engine the only module that imports vLLM, once an engine is made."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llmrec.config import ReviewReadingConfig
from llmrec.encoding.encoders.engine import set_environment, set_threads
from llmrec.encoding.encoders.model_files import max_positions
from llmrec.reading.engines.model_folder import generator_folder
from llmrec.reading.engines.prompts import PromptWriter

_MAX_SEQUENCES = 64
#: Tokens of a block of the cache. Only whole blocks of a prefix are shared, and the CPU build's 128 are more than our
#: short prompts have in common; 32 is the least that it likes.
_BLOCK = 32


class GeneratorEngine:
    """`vllm.LLM` in this process; one a process. The prefix that prompts share is computed once.

    `length`: tokens of a prompt and its answer, beside the review's. Raises ValueError for a model that cannot work.
    """

    def __init__(self, settings: ReviewReadingConfig, threads: int | None, *, prefix_caching: bool = True) -> None:
        set_environment()
        self._settings, self._folder = settings, generator_folder(settings.model, settings.revision)
        self._caching = prefix_caching
        self._thread = ThreadPoolExecutor(1, "generator", initializer=set_threads, initargs=(threads,))
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(self._folder), local_files_only=True)
        self.prompts = PromptWriter(tokenizer, settings.max_text_tokens)
        self._llm: Any = None

    def start(self, length: int) -> None:
        """Load the weights. `length`: tokens of the longest prompt without its review, and of its answer."""
        whole, limit = length + self._settings.max_text_tokens, max_positions(self._folder)
        if limit is not None and whole > limit:
            raise ValueError(
                f"reading.max_text_tokens: with its prompt and answer a review takes {whole} tokens, expected at most "
                f"{limit}, which {self._settings.model} was made for"
            )
        self._llm = self._thread.submit(self._engine, whole).result()

    def _engine(self, length: int) -> Any:
        from vllm import LLM

        return LLM(
            str(self._folder),
            enforce_eager=True,
            dtype=self._settings.dtype,
            max_model_len=length,
            max_num_batched_tokens=max(self._settings.batch_tokens, length),
            max_num_seqs=_MAX_SEQUENCES,
            tensor_parallel_size=self._settings.tensor_parallel,
            enable_prefix_caching=self._caching,
            block_size=_BLOCK,
            structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
            seed=0,
            disable_log_stats=True,
        )

    def answers(self, prompts: Sequence[list[int]], schema: Mapping[str, Any], max_tokens: int) -> list[Any]:
        """JSON under the schema: (text, finish reason, tokens) a prompt.

        No whitespace can be written between its parts, so that none can go on for ever (vLLM issues 13260, 13828).
        """
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        held = StructuredOutputsParams(json=dict(schema), disable_any_whitespace=True)
        outputs = self._run(prompts, SamplingParams(temperature=0, max_tokens=max_tokens, structured_outputs=held))
        return [(o.text, o.finish_reason, len(o.token_ids)) for o in outputs]

    def log_odds(self, prompts: Sequence[list[int]], labels: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log probability that the answer to each prompt begins with each of its labels, which are tokens."""
        from vllm import SamplingParams

        def wanted(tokens: Sequence[int]) -> Any:
            return SamplingParams(temperature=0, max_tokens=1, logprobs=len(tokens), logprob_token_ids=list(tokens))

        outputs = self._run(prompts, [wanted(tokens) for tokens in labels])
        return [
            [float(o.logprobs[0][token].logprob) for token in tokens] for o, tokens in zip(outputs, labels, strict=True)
        ]

    def _run(self, prompts: Sequence[list[int]], wanted: Any) -> list[Any]:
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        found = self._thread.submit(self._llm.generate, asked, wanted, use_tqdm=False).result()
        return [output.outputs[0] for output in found]
