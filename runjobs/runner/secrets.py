"""The secrets of receivers: from the environment, and from the file that RUNJOBS_SECRETS names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from runjobs.core.errors import FieldError, RunjobsError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS: Final = "RUNJOBS_SECRETS"


def read_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the file's NAME=value lines over it. RunjobsError, which names no value, says what is wrong.

    The file is trusted as env-files are, and nobody but its owner may read it.
    """
    path = environ.get(SECRETS, "")
    if not path:
        return dict(environ)
    from runjobs.adapters.files import envfile
    from runjobs.adapters.files.walk import RefusedError
    from runjobs.core.environment import read_env_file
    from runjobs.core.trust import Judge, quoted

    try:
        text = envfile.read_env_file(path, Judge(os.geteuid()), trust=False)
        if os.stat(path).st_mode & 0o077:
            raise RunjobsError(f"others can read the secrets in {path}", f"chmod 600 {quoted(path)}")
        return {**environ, **read_env_file(text)}
    except RefusedError as error:
        raise RunjobsError(f"{SECRETS}: {error.refusal.message}", error.refusal.hint) from error
    except FieldError as error:
        raise RunjobsError(f"{SECRETS}={path}: {error.message}", error.hint) from error
