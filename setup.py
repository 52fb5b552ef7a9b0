"""Packaging of the fairseq plugin fairseq_guided_align."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """The one place that holds the version is the package itself."""
    text = (HERE / "fairseq_guided_align" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__(?:: \w+)? = "([^"]+)"', text, re.MULTILINE)
    if not found:
        raise RuntimeError('fairseq_guided_align/__init__.py: expected __version__ = "..."; none found')
    return found.group(1)


def readme() -> str:
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


# PyPI's fairseq stops at Python 3.10; ve-fairseq is the same code, with wheels for 3.11 and 3.12.
FAIRSEQ = [
    'fairseq==0.12.2; python_version < "3.11"',
    've-fairseq==0.12.3; python_version >= "3.11"',
]
# The first with places of pieces in the line (out_type="offset_mapping"), which need no protobuf.
SENTENCEPIECE = ["sentencepiece>=0.2.2"]
PLOTS = ["matplotlib>=3.6"]
ALIGNER = ["eflomal==2.0.0"]
# The module icu, with ICU itself and wheels for all interpreters; PyICU, the same module, has no wheels.
ICU = ["pyicu-wheels>=2.15"]
# From 1.0 on it is compiled; wheels for Linux, macOS and Windows.
DOCUMENTS = ["sentencex>=1.0"]

setup(
    name="fairseq-guided-align",
    version=version(),
    description="Supervised (guided) word alignment for fairseq translation models",
    long_description=readme(),
    long_description_content_type="text/markdown",
    author="the fairseq_guided_align authors",
    license="MIT",
    license_files=["LICENSE"],
    packages=find_packages(include=["fairseq_guided_align", "fairseq_guided_align.*"]),
    package_data={"fairseq_guided_align": ["py.typed", "pictures/assets/*"]},
    python_requires=">=3.10,<3.13",
    # torch comes with the fairseq that is installed: naming it here would replace a chosen build.
    install_requires=["numpy>=1.21", "tqdm", "zstandard>=0.21"],
    extras_require={
        "fairseq": FAIRSEQ,
        "sentencepiece": SENTENCEPIECE,
        "plots": PLOTS,
        "aligner": ALIGNER,
        "icu": ICU,
        "documents": DOCUMENTS,
        "browser": ["selenium"],
        "test": [
            *SENTENCEPIECE,
            *PLOTS,
            "hypothesis",
            "import-linter",
            "mypy",
            "pdoc",
            "pytest>=7",
            "pytest-xdist",
            "ruff",
            "tensorboardX",
        ],
    },
    entry_points={"console_scripts": ["fairseq-guided-align = fairseq_guided_align.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
    ],
)
