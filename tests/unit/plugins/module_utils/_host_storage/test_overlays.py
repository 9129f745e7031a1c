# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks with overlays are matched to volumes, and the overlays are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, cast

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import live_drift
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.overlays import (
    ImageReader,
    Overlays,
    find_overlays,
    moved_volumes,
    with_overlays,
)
from lxml import etree


def disk(*chain: str, target: str = "vda", image_format: str = "qcow2", mirror: str = "") -> str:
    """Return a disk and the images below it."""
    below = ""
    for image in reversed(chain[1:]):
        below = f"<backingStore type='file'><format type='qcow2'/><source file='{image}'/>{below}</backingStore>"
    job = f"<mirror type='file' job='copy'><source file='{mirror}'/></mirror>" if mirror else ""
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{image_format}'/><source file='{chain[0]}'/>"
        f"{below}{job}<target dev='{target}' bus='virtio'/></disk>"
    )


def domain(*disks: str) -> etree._Element:
    return etree.fromstring(f"<domain type='kvm'><os><type>hvm</type></os><devices>{''.join(disks)}</devices></domain>")


class Snapshots:
    """A stand-in for libvirt that returns only snapshots, and counts the calls."""

    def __init__(self, *xmls: str) -> None:
        self._xmls = list(xmls)
        self.requests = 0

    def snapshot_xmls(self, _uuid: str) -> list[str]:
        self.requests += 1
        return self._xmls


def found(
    desired: etree._Element,
    existing: etree._Element,
    live: Optional[etree._Element] = None,
    snapshots: Optional[Snapshots] = None,
) -> Overlays:
    reader = ImageReader(HostSystem("/nonexistent"), cast(Any, snapshots or Snapshots()), "uuid")
    return find_overlays(desired, existing, live, reader)


def images(overlays: Overlays) -> list[tuple[str, str]]:
    return [(entry["overlay_of"], entry["image"]) for entry in overlays.entries()]


def of_disks(differences: Sequence[Difference]) -> list[str]:
    """Return the paths of the differences between disks, without what the normal form adds elsewhere."""
    return [difference.path for difference in differences if difference.path.startswith("devices/disk")]


def test_a_disk_whose_chain_has_the_image_is_its_volume() -> None:
    assert images(found(domain(disk("/base")), domain(disk("/s2", "/s1", "/base")))) == [("/base", "/s2")]


def test_if_every_volume_is_in_sync_nothing_is_queried() -> None:
    snapshots = Snapshots()
    desired = domain(disk("/a"), disk("/b", target="vdb"))
    assert found(desired, desired, desired, snapshots) == Overlays()
    assert snapshots.requests == 0


def test_a_template_below_another_volume_that_is_desired_itself_is_not_it() -> None:
    desired = domain(disk("/clone"), disk("/template", target="vdb"))
    assert images(found(desired, domain(disk("/clone", "/template")))) == []


def test_of_two_clones_of_one_image_the_volume_is_the_one_with_its_name_in_the_guest() -> None:
    existing = domain(disk("/x", "/base", target="vda"), disk("/y", "/base", target="vdb"))
    assert images(found(domain(disk("/base", target="vdb")), existing)) == [("/base", "/y")]


def test_what_runs_counts_for_a_definition_that_lags_behind() -> None:
    overlays = found(domain(disk("/base")), domain(disk("/base")), domain(disk("/s1", "/base")))
    assert overlays.defined["/base"].find("source").get("file") == "/s1"


def test_the_overlay_of_a_transient_disk_is_not_kept_in_the_definition() -> None:
    running = domain(disk("/base.TRANSIENT", "/base").replace("<target", "<transient/><target"))
    overlays = found(domain(disk("/base")), domain(disk("/base")), running)
    assert (list(overlays.defined), list(overlays.live)) == ([], ["/base"])


def test_a_disk_that_is_copied_to_the_image_is_its_volume_until_the_job_is_done() -> None:
    desired, existing = domain(disk("/copy")), domain(disk("/old"))
    live = domain(disk("/old", mirror="/copy"))
    overlays = found(desired, existing, live)
    assert of_disks(reconcile(with_overlays(desired, overlays.defined), existing).differences) == []
    assert overlays.entries() == []


@pytest.mark.parametrize("limits", ["", "<iotune><total_iops_sec>100</total_iops_sec></iotune>"])
def test_everything_but_the_image_is_compared_as_usual(limits: str) -> None:
    desired = domain(disk("/base", image_format="raw").replace("</disk>", limits + "</disk>"))
    existing = domain(disk("/s1", "/base"))
    overlays = found(desired, existing, existing)
    defined = reconcile(with_overlays(desired, overlays.defined), existing)
    live = live_drift(with_overlays(desired, overlays.live), existing, {})
    expected = ["devices/disk[target=vda]/iotune"] if limits else []
    assert of_disks(defined.differences) == expected
    assert of_disks(live.differences) == expected
    assert defined.merged.find("devices/disk/source").get("file") == "/s1"


def test_headers_are_followed_only_where_the_format_is_qcow2(tmp_path: Path) -> None:
    head = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (5).to_bytes(4, "big")
    (tmp_path / "s1").write_bytes(head.ljust(104, b"\0") + b"/base")
    reader = ImageReader(HostSystem(str(tmp_path)), cast(Any, Snapshots()), "uuid")
    for image_format, expected in (("qcow2", [("/base", "/s1")]), ("raw", [])):
        existing = domain(disk("/s1", image_format=image_format))
        assert images(find_overlays(domain(disk("/base")), existing, None, reader)) == expected


def test_an_image_that_is_reached_by_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "base").touch()
    (tmp_path / "link").symlink_to("base")
    reader = ImageReader(HostSystem(str(tmp_path)), cast(Any, Snapshots()), "uuid")
    desired, existing = domain(disk("/link")), domain(disk("/s1", "/base"))
    assert images(find_overlays(desired, existing, None, reader)) == [("/link", "/s1")]


def test_another_name_of_the_image_itself_is_no_overlay(tmp_path: Path) -> None:
    (tmp_path / "base").touch()
    (tmp_path / "link").symlink_to("base")
    reader = ImageReader(HostSystem(str(tmp_path)), cast(Any, Snapshots()), "uuid")
    assert find_overlays(domain(disk("/link")), domain(disk("/base")), None, reader) == Overlays()


class Pool(Snapshots):
    """A stand-in for a libvirt that has the overlay in a storage pool."""

    def storage_volume_xml(self, path: str) -> Optional[str]:
        backing = "<backingStore><path>/base</path><format type='raw'/></backingStore>"
        return f"<volume>{backing}</volume>" if path == "/s1" else None


def test_with_a_remote_uri_the_storage_pools_have_the_chain() -> None:
    reader = ImageReader(RemoteSystem("qemu+ssh://host/system"), cast(Any, Pool()), "uuid")
    assert images(find_overlays(domain(disk("/base")), domain(disk("/s1")), None, reader)) == [("/base", "/s1")]


def test_a_circular_chain_ends(tmp_path: Path) -> None:
    head = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (3).to_bytes(4, "big")
    (tmp_path / "s1").write_bytes(head.ljust(104, b"\0") + b"/s1")
    reader = ImageReader(HostSystem(str(tmp_path)), cast(Any, Snapshots()), "uuid")
    assert images(find_overlays(domain(disk("/base")), domain(disk("/s1")), None, reader)) == []


def test_snapshots_reveal_images_that_a_pull_removed_from_the_chain() -> None:
    snapshots = Snapshots(
        "<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='/s1'/></disk></disks>"
        "<domain><devices><disk><source file='/base'/><target dev='vda'/></disk></devices></domain></domainsnapshot>"
    )
    assert images(found(domain(disk("/base")), domain(disk("/s1")), None, snapshots)) == [("/base", "/s1")]
    assert snapshots.requests == 1


def test_a_disk_that_gets_an_unrelated_image_has_moved() -> None:
    desired, existing = (
        domain(disk("/base"), disk("/data", target="vdb")),
        domain(disk("/copy"), disk("/data", target="vdb")),
    )
    assert list(moved_volumes(desired, existing)) == [("vda", "/copy", "/base")]


def test_a_volume_that_only_gets_another_target_has_not_moved() -> None:
    one, two = disk("/one", target="vdb"), disk("/two", target="vdc")
    other_way = domain(disk("/two", target="vdb"), disk("/one", target="vdc"))
    assert list(moved_volumes(domain(one, two), other_way)) == []
