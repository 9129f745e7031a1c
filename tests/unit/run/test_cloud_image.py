# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud image is built once, and again when its sources change."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import cloud_image


class Builds:
    """A checkout with the sources of the image, and the builds that were run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources = root / "tools" / "cloud_image"
        self.sources.mkdir(parents=True)
        self.paths: list[str] = []

    def ensure(self) -> list[str]:
        """Return the images that have been built so far."""
        cloud_image.ensure(self.root, self._build)
        return self.paths

    def _build(self, command: list[str]) -> None:
        assert command[0] == str(self.sources / "build")
        Path(command[1]).touch()
        self.paths.append(command[1])


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    monkeypatch.setattr(cloud_image, "CACHE", tmp_path / "cache")
    return Builds(tmp_path / "checkout")


def test_it_is_built_once(builds: Builds) -> None:
    assert len(builds.ensure()) == len(builds.ensure()) == 1
    assert builds.paths == [str(cloud_image.path(builds.root))]


def test_other_sources_are_another_image_and_the_page_about_it_is_no_source(builds: Builds) -> None:
    builds.ensure()
    (builds.sources / "README.md").touch()
    assert len(builds.ensure()) == 1
    (builds.sources / "init").touch()
    assert len(set(builds.ensure())) == 2


def test_what_a_killed_build_has_left_is_removed(builds: Builds) -> None:
    left = cloud_image.CACHE / "zstack-kvm-cloud-image-x" / "root"
    left.mkdir(parents=True)
    builds.ensure()
    assert not left.exists()
