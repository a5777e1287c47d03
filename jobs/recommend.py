"""The top k of every user, or of a list of users, as a Parquet table (user_id, item_id, rank, score).

Ray Data spreads the users over actors that each hold the published bundle; they call the same Recommender as the
server does, so the answers are the server's.
"""

import argparse
import codecs
import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs as pafs

from jobs.cli import at_least, main, parser
from llmrec.bundle import Bundle
from llmrec.config import RunConfig
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.ids import parse_id
from llmrec.corpus.values.times import parse_timestamp
from llmrec.files import filesystem, read_bytes
from llmrec.registry import current
from llmrec.schema import RECOMMENDATIONS, C
from llmrec.storage import Storage, artifact_id

logger = logging.getLogger("llmrec.jobs")
USERS_A_BLOCK = 512
_CODE = "llmrec.recommender"  # what decides the answers


class RecommendUsers:
    """A Ray Data actor: a block of users in, their ranked items out."""

    def __init__(self, bundle_uri: str, retrieve: int, k: int, time: int) -> None:
        self.recommender = Bundle.load(bundle_uri).recommender(retrieve, clock=time)
        self.k, self.time = k, time

    def __call__(self, users: pa.Table) -> pa.Table:
        """`user_id` (U,) → RECOMMENDATIONS (at most U × k rows)."""
        ids = users[C.USER_ID].to_pylist()
        history = self.recommender.history
        times = np.full(len(ids), self.time, np.int64)
        states, among = history.users_at(history.user_rows(ids), times), self.recommender.context.listable.at(self.time)
        rows, scores = self.recommender.recommend(states, times, self.k, among=among)
        return ranked_table(ids, rows, scores, history.item_ids)


def ranked_table(
    user_ids: list[str], rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], item_ids: Sequence[str]
) -> pa.Table:
    """RECOMMENDATIONS of U users from rows (U, k) and scores (U, k); −1 pads and is left out."""
    user, place = np.nonzero(rows >= 0)
    columns = {
        C.USER_ID: pa.array(user_ids).take(pa.array(user)),
        C.ITEM_ID: pa.array(item_ids).take(pa.array(rows[user, place])),
        C.RANK: pa.array(place + 1, pa.int32()),
        C.SCORE: pa.array(scores[user, place], pa.float32()),
    }
    return pa.table(columns, schema=RECOMMENDATIONS)


def listed_users(path: str) -> list[str]:
    """The user ids of a text file, one a line, each once, read as ingest reads ids; a header `user_id` is none.

    Raises ValueError where the file is missing or empty, or a line is no id, with the line's number.
    """
    data = read_bytes(path)
    lines = (data or b"").removeprefix(codecs.BOM_UTF8).splitlines()
    ids = list(dict.fromkeys(_user_id(path, n, line) for n, line in enumerate(lines, 1) if line.strip()))
    ids = ids[1:] if ids[:1] == [C.USER_ID] else ids
    if not ids:
        raise ValueError(f"--users {path}: found {'no such file' if data is None else 'no id'}, expected one id a line")
    return ids


def _user_id(path: str, number: int, line: bytes) -> str:
    try:
        return parse_id(line.decode(), C.USER_ID)
    except (UnicodeDecodeError, RowError) as error:
        raise ValueError(f"--users {path}:{number}: {error}; expected one id a line, in UTF-8") from None


def moment(text: str) -> int:
    """--time in ms since 1970: a number of seconds, milli-, micro- or nanoseconds by its magnitude, or ISO 8601."""
    try:
        return parse_timestamp(text)
    except RowError as error:
        raise argparse.ArgumentTypeError(f"{error.detail}; or ISO 8601, such as 2017-11-06T20:26:40Z") from None


def _not_before(time: int, first: int) -> int:
    if time < first:
        at, began = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat() for ms in (time, first))
        raise ValueError(f"--time {time} is {at}, before the first event, {began}; expected ms since 1970 from then on")
    return time


def _files_in(fs: pafs.FileSystem, folder: str) -> int:
    return len(fs.get_file_info(pafs.FileSelector(folder, allow_not_found=True)))


def recommend(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Write the table as an artifact of its own; the same request again finds it."""
    import ray

    pointer = current(storage, config.name)
    bundle = Bundle.load(pointer["uri"])
    users = listed_users(args.users) if args.users is not None else bundle.history.user_ids[1:]
    first = int(bundle.history.data.times[0])
    time = bundle.last_time if args.time is None else _not_before(args.time, first)
    k = min(args.k, len(bundle.history.item_ids) - 1)  # there are no more to name
    whom = "all" if args.users is None else users
    wanted = {"k": k, "time": time, "retrieve": config.serving.retrieve, "users": whom}
    parents = {"bundle": pointer["id"]}
    name = artifact_id(_CODE, wanted, parents)
    if not (found := storage.find("recommendations", name)):
        with storage.build("recommendations", name, module=_CODE, config=wanted, parents=parents) as writer:
            arguments = (pointer["uri"], config.serving.retrieve, k, time)
            blocks = ray.data.from_arrow(pa.table({C.USER_ID: pa.array(users, pa.string())})).repartition(
                target_num_rows_per_block=USERS_A_BLOCK
            )
            actors = (1, max(1, int(ray.cluster_resources().get("CPU", 2)) // 2))
            lists = blocks.map_batches(
                RecommendUsers, fn_constructor_args=arguments, batch_size=USERS_A_BLOCK, batch_format="pyarrow",
                concurrency=actors,
            )  # fmt: skip
            fs, folder = filesystem(writer.uri("recommendations"))
            lists.write_parquet(folder, filesystem=fs)
            if not _files_in(fs, folder):  # Ray writes no file for no row
                writer.write_table("recommendations", RECOMMENDATIONS.empty_table())
            writer.info["unknown_users"] = int((bundle.history.user_rows(users) == 0).sum())
        found = storage.find("recommendations", name)
    assert found is not None
    answered = found.table("recommendations", [C.USER_ID])[C.USER_ID].unique()
    if unknown := found.manifest.info["unknown_users"]:
        logger.warning("recommend: %d of %d users are not known: they are given what is popular", unknown, len(users))
    return {
        "bundle": pointer["id"], "users": len(users), "users_answered": len(answered),
        "unknown_users": found.manifest.info["unknown_users"], "rows": found.dataset("recommendations").count_rows(),
        "recommendations": str(Path((found.uris("recommendations") or [found.uri("recommendations.parquet")])[0]).parent),  # noqa: E501
    }  # fmt: skip


if __name__ == "__main__":
    arguments = parser("The top k of every user as a Parquet table.")
    arguments.add_argument("--k", type=at_least(1), default=10, help="items a user")
    arguments.add_argument("--users", help="file with one user id a line (default: every user of the bundle)")
    arguments.add_argument(
        "--time", type=moment, help="as of this moment: ms since 1970, or ISO 8601 (default: the bundle's last event)"
    )
    raise SystemExit(main(recommend, arguments))
