"""Index a folder and search it from Python: python python_api.py FOLDER "a red bicycle"."""

import sys
from pathlib import Path

from mcp_vlsearch import Filters, Library, Progress


def show(progress: Progress) -> None:
    print(progress.message, file=sys.stderr)


def main(folder: str, text: str) -> None:
    # Any setting may be a keyword, such as model="storybook"; the rest comes from the
    # environment, the library's config.toml and the defaults.
    with Library.open(Path(folder) / ".library") as library:
        library.allow([folder])
        report = library.index(report=show)
        print(f"{report.total_images} images, {report.encoded} of them encoded now")
        found = library.search_by_text(
            text, top_k=5, filters=Filters(folder=str(Path(folder).resolve()))
        )
        for hit in found.hits:
            print(f"{hit.rank:2} {hit.relevance:6} {hit.score:.3f} {hit.path}")
        if found.hits:
            alike = library.search_by_image(found.hits[0].image_id, top_k=2)
            print(f"most like the first: {alike.hits[-1].path}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python python_api.py FOLDER TEXT")
    main(*sys.argv[1:])
