# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in ceph: the command lines and input of rbd, and the interpretation of its output."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.network import ServerGreeting
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import ceph_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.ceph_volumes import CephVolumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.reachability import SecretValues
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import Written
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Volume, VolumeCreation
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakePrograms, FakeSecret

SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
MIB = 1 << 20
DONE = CommandResult(0, "", "")
NOT_FOUND = CommandResult(2, "", "rbd: error opening image web: (2) No such file or directory")
BUSY = CommandResult(16, "", "rbd: error: image still has watchers")
PARTIAL = "PARTIAL"
# Its name is the same in each task of a hypervisor, so that the next task finds it.
LEFTOVER = ceph_volumes._partial_name("web")

Answer = Callable[[str, Sequence[str]], Optional[CommandResult]]


class FakeRbd(FakePrograms):
    """A cluster with images, by name: what rbd reports about each. C(answer) may answer a command instead."""

    def __init__(self, images: Optional[dict[str, dict[str, Any]]] = None, answer: Optional[Answer] = None) -> None:
        super().__init__(Path("/nonexistent"))
        self.images = {} if images is None else images
        self.input: set[str] = set()
        self.network: Any = self
        self._instead = answer or (lambda command, argv: None)

    def connect(self, host: str, port: int, seconds: float, size: int) -> ServerGreeting:
        return ServerGreeting("10.0.9.%s" % host[-1], b"ceph v2\n")

    def run_long(self, argv: Sequence[str], cancelled: threading.Event, stdin: str = "") -> CommandResult:
        return self.run(argv, 0, stdin)

    def run(self, argv: Sequence[str], timeout: float, stdin: Optional[str] = None) -> CommandResult:
        assert argv[:5] == ["rbd", "--conf", "/dev/stdin", "--id", "zstack"]
        command, arguments = argv[5], argv[5:]
        self.input.add(stdin or "")
        self.calls.append([PARTIAL if each.endswith(".partial") else each for each in arguments])
        return self._instead(command, arguments) or self._done(command, arguments)

    def _done(self, command: str, arguments: Sequence[str]) -> CommandResult:
        name = arguments[arguments.index("--image") + 1]
        destination = arguments[arguments.index("--dest") + 1] if "--dest" in arguments else name
        if command not in ("create", "clone", "cp") and name not in self.images:
            return NOT_FOUND
        if command == "info":
            return CommandResult(0, json.dumps(self.images[name]), "")
        if command == "rm":
            del self.images[name]
        elif command == "rename":
            self.images[destination] = self.images.pop(name)
        elif destination in self.images:
            assert command == "resize"
        else:
            self.images[destination] = image()
        return DONE

    def changes(self) -> list[str]:
        """Return the commands that change something."""
        return [" ".join(call) for call in self.calls if call[0] != "info"]


def image(**options: Any) -> dict[str, Any]:
    return {"size": MIB, "features": ["layering", "operations"], **options}


def a_volume(**create: Any) -> tuple[Volume, VolumeCreation]:
    raw = {
        "install_path": "ceph://pool/web",
        "device_type": "ceph",
        "mon_info": [{"hostname": "mon1"}, {"hostname": "mon2"}],
        "secret_uuid": SECRET,
        "create": create or {"size": "8MiB"},
    }
    volumes, problems = parse_volumes([raw])
    assert not problems
    (volume,) = volumes
    assert volume.create is not None
    return volume, volume.create


def volumes_in(rbd: FakeRbd, private: bool = False) -> CephVolumes:
    secret = FakeSecret(SECRET, private=private, value=None if private else b"a key")
    hypervisor: Any = FakeHypervisor(secrets=[secret])
    if private:
        hypervisor.secret_value = denied
    return CephVolumes(rbd, SecretValues([], hypervisor))


def denied(_uuid: str) -> bytes:
    raise VmError("libvirt_denied", "the secret is private")


def created(rbd: FakeRbd, **create: Any) -> list[str]:
    """Return the commands that create a volume."""
    assert volumes_in(rbd).create(*a_volume(**create), threading.Event()) is not None
    assert set(rbd.images) >= {"web"}
    assert not [name for name in rbd.images if name.endswith(".partial")]
    return rbd.changes()


RENAME = "rename --pool pool --image PARTIAL --dest-pool pool --dest web"
RESIZE = "resize --no-progress --pool pool --image PARTIAL --size 8388608B"
DESTINATION = "--pool bak --image disk --snap golden --dest-pool pool --dest PARTIAL"


class TestCreate:
    def test_an_empty_volume(self) -> None:
        assert created(FakeRbd()) == ["create --pool pool --image PARTIAL --size 8388608B", RENAME]

    def test_a_linked_clone_of_a_snapshot(self) -> None:
        commands = created(FakeRbd(), image="bak/disk@golden", linked=True, size="8MiB")
        assert commands == ["clone %s" % DESTINATION, RESIZE, RENAME]

    def test_a_full_copy_has_the_size_of_the_snapshot_by_default(self) -> None:
        commands = created(FakeRbd(), image="bak/disk@golden")
        assert commands == ["cp --no-progress %s" % DESTINATION, RENAME]

    @pytest.mark.parametrize("source", [{}, {"image": "bak/disk@golden"}, {"image": "bak/disk@golden", "linked": True}])
    def test_with_features(self, source: dict[str, Any]) -> None:
        features = ["layering", "exclusive-lock"]
        first = created(FakeRbd(), size="8MiB", features=features, **source)[0]
        assert first.endswith(" --image-feature exclusive-lock --image-feature layering")

    def test_the_key_and_the_monitors_are_passed_in_the_input_only(self) -> None:
        rbd = FakeRbd()
        created(rbd)
        (configuration,) = rbd.input
        assert "mon host = [v2:10.0.9.1:6789],[v2:10.0.9.2:6789]\n" in configuration
        assert configuration.endswith("key = YSBrZXk=\n")
        assert not [each for call in rbd.calls for each in call if "YSBrZXk" in each]

    def test_the_value_of_a_private_secret_cannot_be_passed(self) -> None:
        with pytest.raises(VmError, match="is private") as raised:
            volumes_in(FakeRbd(), private=True).create(*a_volume(), threading.Event())
        assert raised.value.code == "secret_missing"

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    def test_one_that_somebody_else_has_created_is_left_alone(self, when: str) -> None:
        others = image(size=7)

        def answer(command: str, argv: Sequence[str]) -> Optional[CommandResult]:
            return CommandResult(17, "", "rbd: rename error: (17) File exists") if command == "rename" else None

        rbd = FakeRbd({"web": others}) if when == "before" else FakeRbd(answer=answer)
        assert volumes_in(rbd).create(*a_volume(), threading.Event()) is None
        assert not [name for name in rbd.images if name.endswith(".partial")]
        assert when == "meanwhile" or rbd.images == {"web": others}

    @pytest.mark.parametrize("command", ["create", "resize", "rename"])
    def test_one_that_fails_leaves_nothing(self, command: str) -> None:
        failed = CommandResult(28, "", "progress\nrbd: (28) No space left on device\n")
        rbd = FakeRbd(answer=lambda name, argv: failed if name == command else None)
        create = {"image": "bak/disk@golden", "size": "8MiB"} if command == "resize" else {}
        with pytest.raises(VmError, match="ceph://pool/web: rbd: .28. No space left on device"):
            volumes_in(rbd).create(*a_volume(**create), threading.Event())
        assert rbd.images == {}

    def test_a_snapshot_that_is_not_protected(self) -> None:
        refused = CommandResult(22, "", "rbd: clone error: parent snapshot must be protected")
        rbd = FakeRbd(answer=lambda name, argv: refused if name == "clone" else None)
        with pytest.raises(VmError, match="must be protected") as raised:
            volumes_in(rbd).create(*a_volume(image="bak/disk@golden", linked=True), threading.Event())
        assert "rbd snap protect" in raised.value.hint


class TestLeftover:
    """An image that a killed task has left behind."""

    def test_is_removed_first(self) -> None:
        rbd = FakeRbd({LEFTOVER: image()})
        assert created(rbd)[0] == "rm --no-progress --pool pool --image PARTIAL"

    def test_is_waited_for_while_ceph_considers_it_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ceph_volumes, "_LEFTOVER_POLL_SECONDS", 0)
        answers = [BUSY, BUSY]
        rbd = FakeRbd({LEFTOVER: image()}, lambda name, argv: answers.pop() if name == "rm" and answers else None)
        assert [command.split()[0] for command in created(rbd)] == ["rm", "rm", "rm", "create", "rename"]

    def test_that_stays_open_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ceph_volumes, "_LEFTOVER_SECONDS", 0)
        rbd = FakeRbd({LEFTOVER: image()}, lambda name, argv: BUSY if name == "rm" else None)
        with pytest.raises(VmError, match="still has open what an earlier task has begun") as raised:
            volumes_in(rbd).create(*a_volume(), threading.Event())
        assert raised.value.code == "volume_in_use"
        assert "web" not in rbd.images


class TestFind:
    def test_size_parent_and_the_features_that_can_be_chosen(self) -> None:
        parent = {"pool": "bak", "image": "disk", "snapshot": "golden"}
        rbd = FakeRbd({"web": image(features=["layering", "data-pool", "exclusive-lock"], parent=parent)})
        found = volumes_in(rbd).find(a_volume()[0], Written("", ""))
        assert found == FoundVolume("raw", MIB, "bak/disk@golden", ("exclusive-lock", "layering"))
        assert rbd.calls == [["info", "--format", "json", "--pool", "pool", "--image", "web"]]

    def test_one_that_does_not_exist_is_missing(self) -> None:
        volumes = volumes_in(FakeRbd())
        assert volumes.is_missing(a_volume()[0])
        assert volumes.find(a_volume()[0], Written("", "")) is None

    def test_one_that_cannot_be_examined_is_not_missing(self) -> None:
        rbd = FakeRbd(answer=lambda name, argv: CommandResult(110, "", "rbd: couldn't connect to the cluster!"))
        volumes = volumes_in(rbd)
        assert not volumes.is_missing(a_volume()[0])
        assert volumes.find(a_volume()[0], Written("", "")) is None


class TestProblems:
    def test_none_of_an_empty_volume(self) -> None:
        assert volumes_in(FakeRbd()).problems(*a_volume()) == []

    def test_a_snapshot_that_is_missing(self) -> None:
        (problem,) = volumes_in(FakeRbd()).problems(*a_volume(image="bak/disk@golden"))
        assert str(problem) == "volumes[0].create.image: ceph has no snapshot bak/disk@golden"

    def test_a_size_below_the_snapshots(self) -> None:
        rbd = FakeRbd({"disk": image(size=16 * MIB)})
        (problem,) = volumes_in(rbd).problems(*a_volume(image="bak/disk@golden", size="8MiB"))
        assert str(problem).startswith("volumes[0].create.size: is 8388608 bytes, less than the 16777216 bytes")

    def test_a_user_without_permission(self) -> None:
        rbd = FakeRbd(answer=lambda name, argv: CommandResult(1, "", "rbd: (1) Operation not permitted"))
        (problem,) = volumes_in(rbd).problems(*a_volume(image="bak/disk@golden"))
        assert (problem.option_path, problem.code) == ("volumes[0].install_path", "storage_denied")


class TestRemove:
    def test_one_that_nobody_uses(self) -> None:
        rbd = FakeRbd({"web": image()})
        volumes_in(rbd).remove(a_volume()[0])
        assert (rbd.images, rbd.changes()) == ({}, ["rm --no-progress --pool pool --image web"])

    def test_one_that_is_gone_meanwhile(self) -> None:
        volumes_in(FakeRbd()).remove(a_volume()[0])

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (BUSY, "a client has it open"),
            (CommandResult(39, "", "rbd: image has snapshots - these must be deleted"), "it has snapshots"),
        ],
    )
    def test_one_in_use(self, answer: CommandResult, reason: str) -> None:
        rbd = FakeRbd({"web": image()}, answer=lambda name, argv: answer if name == "rm" else None)
        with pytest.raises(VmError, match="ceph://pool/web is not removed: %s" % reason) as raised:
            volumes_in(rbd).remove(a_volume()[0])
        assert raised.value.code == "volume_in_use"

    @pytest.mark.parametrize("is_open", [False, True])
    def test_the_undo_keeps_what_a_client_has_open(self, is_open: bool) -> None:
        rbd = FakeRbd()
        undo = volumes_in(rbd).create(*a_volume(), threading.Event())
        assert undo is not None
        if is_open:
            rbd._instead = lambda name, argv: BUSY if name == "rm" else None
        assert undo() is not is_open
        assert ("web" in rbd.images) is is_open


def test_grow() -> None:
    rbd = FakeRbd({"web": image()})
    volumes_in(rbd).grow(a_volume()[0], Written("", ""), 16 * MIB, threading.Event())
    assert rbd.changes() == ["resize --no-progress --pool pool --image web --size 16777216B"]
