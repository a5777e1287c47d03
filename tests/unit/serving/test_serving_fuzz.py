"""Requests generated from the OpenAPI document: no answer is a 500, every answer is as documented."""

import schemathesis
from factories.serving import make_parts
from hypothesis import HealthCheck, Phase, given, settings
from pytest import TempPathFactory
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

#: A valid request is always taken, an invalid one never; nothing is a 500; status and body are as documented.
NAMES = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "negative_data_rejection", "positive_data_acceptance", "unsupported_method",
)  # fmt: skip
EXAMPLES = 25


def test_every_answer_is_as_documented(tmp_path_factory: TempPathFactory) -> None:
    parts = make_parts(
        str(tmp_path_factory.mktemp("fuzz")), True, max_k=20, retrieve=20, max_texts=4, max_text_chars=200
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", parts.app())
    checks = [CHECKS.get_one(name) for name in NAMES]
    asked: dict[str, set[int]] = {}
    for operation in (found.ok() for found in schema.get_all_operations()):
        takes_input = bool(operation.body) or any(operation.iter_parameters())
        for mode in GenerationMode if takes_input else (GenerationMode.POSITIVE,):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            def ask(case: schemathesis.Case) -> None:
                answer = case.call()
                asked.setdefault(case.operation.label, set()).add(answer.status_code)
                case.validate_response(answer, checks=checks)

            ask()
    assert asked.keys() == {
        "POST /v1/recommend", "POST /v1/recommend/batch",
        "POST /v1/search", "POST /v1/rank", "POST /v1/encode", "GET /v1/items/{item_id}/similar",
        "GET /v1/model", "GET /healthz", "GET /readyz",
    }  # fmt: skip
    assert all(asked[f"POST /v1/{route}"] >= {200, 422} for route in ("recommend", "search", "rank", "encode"))
