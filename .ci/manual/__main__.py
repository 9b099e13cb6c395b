"""Write the pages of the manual into a folder: `python .ci/manual docs/man`, which is `make man`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pages
import roff

PAGES = {"runjobs.1": (1, pages.commands), "runjobs.5": (5, pages.jobs_files)}
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def main(folder: Path) -> None:
    """Write each page; one that says nothing new keeps its date."""
    for name, (section, made) in PAGES.items():
        path = folder / name
        before = path.read_text("utf-8") if path.exists() else ""
        dated = DATE.search(before)
        body = "\n".join(roff.tidied(list(made()))) + "\n"
        page = f"{pages.title('runjobs', section, dated[0] if dated else '')}\n{body}"
        if page != before:
            today = datetime.now(UTC).date().isoformat()
            path.write_text(f"{pages.title('runjobs', section, today)}\n{body}", "utf-8")


main(Path(sys.argv[1]))
