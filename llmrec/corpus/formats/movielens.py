"""The files of MovieLens that have no header, by the beginnings of their names."""

_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_RATINGS, _MOVIES = ("userId", "movieId", "rating", "timestamp"), ("movieId", "title", "genres")

HEADERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("reviews", "u.data"): _RATINGS,
    ("reviews", "u1."): _RATINGS,
    ("reviews", "ua."): _RATINGS,
    ("reviews", ".data"): _RATINGS,
    ("reviews", ".dat"): _RATINGS,
    ("items", ".dat"): _MOVIES,
    ("items", "u.item"): (
        "movieId", "title", "release_date", "video_date", "url", *(f"genre:{g}" for g in _GENRES_100K)
    ),
}  # fmt: skip
